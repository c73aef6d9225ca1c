"""Preallocated buffers for the activations and gradients of a micro-batch.

Layout: columns; a row is a feature, or a token of the vocabulary, and a column is a token. See
docs/performance.md#vectors. Shapes: C = n_embd, D = head_dim, V = vocab_size, T = block_size,
L = n_layer, N = columns, one per token.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig
from microgpt.engine.processor import lanes_of
from microgpt.engine.weights import aligned_zeros, n_positions, padded


class Buffers(NamedTuple):
    """Documents, activations, gradients and scratch arrays of a micro-batch."""

    # Documents; each token is one column.
    tokens: NDArray[Any]  # (N)
    targets: NDArray[Any]  # (N), token after each input token, or row of `Dataset.soft_targets`
    counted: NDArray[Any]  # (1, N), 1 if the prediction contributes to the loss, else 0
    previous: NDArray[Any]  # (N), previous token, or -1 for the first of a document
    positions: NDArray[Any]  # (N), position of each token in its document
    keys: NDArray[Any]  # (1, N), int32, dropout key of each column; see `draw_keys`
    doc_starts: NDArray[Any]  # (N + 1), first column of each document, and total number of columns

    # Activations that the backward pass needs.
    embedded: NDArray[Any]  # (C, N), embeddings after rmsnorm
    embedded_scale: NDArray[Any]  # (1, N)
    attn_norm: NDArray[Any]  # (L, C, N)
    attn_norm_scale: NDArray[Any]  # (L, N)
    qkv: NDArray[Any]  # (L, 3 C, N)
    qk_scale: NDArray[Any]  # (L, 2 n_head, N), if queries and keys are normalized
    attn_weights: NDArray[Any]  # (L, total number of keys, lanes); see `_n_keys`
    attn_out: NDArray[Any]  # (L, C, N)
    mlp_norm: NDArray[Any]  # (L, C, N), after token shift, if any
    mlp_norm_scale: NDArray[Any]  # (L, N)
    cut: NDArray[Any]  # (L, C // 2, N), see `cut_at_starts`; no layers without token shift
    hidden: NDArray[Any]  # (L, n_ff_exp C, N)
    final_scale: NDArray[Any]  # (1, N)

    # Scratch arrays shared by all layers.
    rotation: NDArray[Any]  # (D, N), see `read_rotation`; no rows if positions are learned
    x: NDArray[Any]  # (C, N), residual stream
    logits: NDArray[Any]  # (V, N), logits, later replaced by their gradient
    logit_norms: NDArray[Any]  # (2, N)
    dx: NDArray[Any]  # (C, N)
    dbranch: NDArray[Any]  # (C, N), gradient with respect to the input of a block
    dqkv: NDArray[Any]  # (3 C, N)
    dhidden: NDArray[Any]  # (n_ff_exp C, N)
    dscores: NDArray[Any]  # (longest document, lanes)
    tile: NDArray[Any]  # (lanes, lanes)
    transposed: NDArray[Any]  # (N, C), a transposed activation
    dwte: NDArray[Any]  # (V, C), gradient of wte; zero between micro-batches
    dwpe: NDArray[Any]  # (T or 0, C), gradient of wpe; zero between micro-batches


def buffer_shapes(
    model: ModelConfig, dtype: str, n_tokens: int, longest: int
) -> dict[str, tuple[int, ...]]:
    """Return the buffer shapes for n_tokens tokens in documents of up to `longest` tokens."""
    V, C, L, hidden = model.vocab_size, model.n_embd, model.n_layer, model.n_ff_exp * model.n_embd
    lanes, n_keys = lanes_of(dtype), _n_keys(model, dtype, n_tokens, longest)
    # Attention writes up to one vector past the last column, token shift one column. An odd number
    # of vectors per row avoids the cache-set conflicts of power-of-two strides.
    N = (padded(n_tokens + lanes, dtype) // lanes | 1) * lanes
    return {
        "tokens": (n_tokens,),
        "targets": (n_tokens,),
        "counted": (1, N),
        "previous": (n_tokens,),
        "positions": (n_tokens,),
        "keys": (1, N),
        "doc_starts": (n_tokens + 1,),
        "embedded": (C, N),
        "embedded_scale": (1, N),
        "attn_norm": (L, C, N),
        "attn_norm_scale": (L, N),
        "qkv": (L, 3 * C, N),
        "qk_scale": (L, 2 * model.n_head * model.qk_norm, N),
        "attn_weights": (L, n_keys, lanes),
        "attn_out": (L, C, N),
        "mlp_norm": (L, C, N),
        "mlp_norm_scale": (L, N),
        "cut": (L * model.token_shift, C // 2, N),
        "hidden": (L, hidden, N),
        "final_scale": (1, N),
        "rotation": (model.head_dim if model.positions == "rotary" else 0, N),
        "x": (C, N),
        "logits": (V, N),
        "logit_norms": (2, N),
        "dx": (C, N),
        "dbranch": (C, N),
        "dqkv": (3 * C, N),
        "dhidden": (hidden, N),
        "dscores": (padded(longest, dtype), lanes),
        "tile": (lanes, lanes),
        "transposed": (N, padded(C, dtype)),
        "dwte": (V, padded(C, dtype)),
        "dwpe": (n_positions(model), padded(C, dtype)),
    }


def allocate_buffers(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> Buffers:
    """Return zero-filled buffers; see `buffer_shapes` for the arguments."""

    def allocate(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        if len(shape) == 1:
            return np.zeros(shape, np.int64)
        *outer, rows, columns = shape  # rows are padded, as `transpose` processes square tiles
        room = (*outer, padded(rows, dtype), columns)
        return aligned_zeros(room, "int32" if name == "keys" else dtype)[..., :rows, :]

    shapes = buffer_shapes(model, dtype, n_tokens, longest)
    return Buffers(**{name: allocate(name, shape) for name, shape in shapes.items()})


def buffer_bytes(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> int:
    """Return the size of the buffers in bytes."""
    shapes = buffer_shapes(model, dtype, n_tokens, longest)
    return sum(map(math.prod, shapes.values())) * np.dtype(dtype).itemsize


def _n_keys(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> int:
    """Return the maximum total number of keys of all query vectors and heads in a micro-batch.

    A document of n query vectors has lanes · n (n + 1) / 2 keys in total and at least
    lanes · (n - 1) + 1 tokens. The number of keys per token is largest for n = 1 or the largest n.
    """
    lanes = lanes_of(dtype)
    n = padded(longest, dtype) // lanes
    a_token = max(lanes, lanes * n * (n + 1) / 2 / (lanes * (n - 1) + 1))
    return model.n_head * math.ceil(n_tokens * a_token)
