"""Buffers of a micro-batch, allocated once for the longest.

Shapes: C = n_embd, V = vocab_size, T = block_size, L = n_layer, N = columns.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig
from microgpt.engine.simd.vector import lanes_of
from microgpt.engine.weights import aligned_zeros, padded


class Buffers(NamedTuple):
    """The documents of a micro-batch, its activations and gradients, and scratch."""

    # The documents, one column per token.
    tokens: NDArray[Any]  # (N)
    targets: NDArray[Any]  # (N), the next token
    counted: NDArray[Any]  # (1, N), 1 if the prediction counts, else 0
    positions: NDArray[Any]  # (N), in its document
    keys: NDArray[Any]  # (1, N), int32; see `dropout`
    doc_starts: NDArray[Any]  # (N + 1), the first column of each document, and the end of the last

    # Activations that the backward pass needs.
    embedded: NDArray[Any]  # (C, N), normed
    embedded_scale: NDArray[Any]  # (1, N)
    attn_norm: NDArray[Any]  # (L, C, N)
    attn_norm_scale: NDArray[Any]  # (L, N)
    qkv: NDArray[Any]  # (L, 3 C, N)
    attn_weights: NDArray[Any]  # (L, keys of all vectors of queries, lanes)
    attn_out: NDArray[Any]  # (L, C, N)
    mlp_norm: NDArray[Any]  # (L, C, N)
    mlp_norm_scale: NDArray[Any]  # (L, N)
    hidden: NDArray[Any]  # (L, n_ff_exp C, N)

    # Overwritten by each layer.
    x: NDArray[Any]  # (C, N), the residual stream
    logits: NDArray[Any]  # (V, N), later their gradient
    logit_norms: NDArray[Any]  # (2, N)
    dx: NDArray[Any]  # (C, N)
    dbranch: NDArray[Any]  # (C, N), gradient of a block's input
    dqkv: NDArray[Any]  # (3 C, N)
    dhidden: NDArray[Any]  # (n_ff_exp C, N)
    dscores: NDArray[Any]  # (longest document, lanes)
    tile: NDArray[Any]  # (lanes, lanes)
    transposed: NDArray[Any]  # (N, C), scratch for transposing
    dwte: NDArray[Any]  # (V, C), zeros between micro-batches
    dwpe: NDArray[Any]  # (T, C), likewise


def buffer_shapes(
    model: ModelConfig, dtype: str, n_tokens: int, longest: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of buffers for n_tokens, in documents of up to `longest`."""
    V, C, L, hidden = model.vocab_size, model.n_embd, model.n_layer, model.n_ff_exp * model.n_embd
    lanes, n_keys = lanes_of(dtype), _n_keys(model, dtype, n_tokens, longest)
    # Attention writes up to a vector beyond the last column. An odd number of vectors per row
    # avoids the cache-set conflicts of powers of two.
    N = (padded(n_tokens + lanes, dtype) // lanes | 1) * lanes
    return {
        "tokens": (n_tokens,),
        "targets": (n_tokens,),
        "counted": (1, N),
        "positions": (n_tokens,),
        "keys": (1, N),
        "doc_starts": (n_tokens + 1,),
        "embedded": (C, N),
        "embedded_scale": (1, N),
        "attn_norm": (L, C, N),
        "attn_norm_scale": (L, N),
        "qkv": (L, 3 * C, N),
        "attn_weights": (L, n_keys, lanes),
        "attn_out": (L, C, N),
        "mlp_norm": (L, C, N),
        "mlp_norm_scale": (L, N),
        "hidden": (L, hidden, N),
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
        "dwpe": (model.block_size, padded(C, dtype)),
    }


def allocate_buffers(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> Buffers:
    """Return zeroed buffers, see `buffer_shapes`."""

    def allocate(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        if len(shape) == 1:
            return np.zeros(shape, np.int64)
        *outer, rows, columns = shape  # padding rows, as transposing works on whole squares
        room = (*outer, padded(rows, dtype), columns)
        return aligned_zeros(room, "int32" if name == "keys" else dtype)[..., :rows, :]

    shapes = buffer_shapes(model, dtype, n_tokens, longest)
    return Buffers(**{name: allocate(name, shape) for name, shape in shapes.items()})


def buffer_bytes(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> int:
    """Return the size of the buffers in bytes."""
    shapes = buffer_shapes(model, dtype, n_tokens, longest)
    return sum(map(math.prod, shapes.values())) * np.dtype(dtype).itemsize


def _n_keys(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> int:
    """Return the largest number of keys over all query vectors and heads of a micro-batch.

    A document of n query vectors needs lanes · n (n + 1) / 2 rows and has at least
    lanes · (n - 1) + 1 tokens. The rows per token are largest for n = 1 or the largest n.
    """
    lanes = lanes_of(dtype)
    n = padded(longest, dtype) // lanes
    a_token = max(lanes, lanes * n * (n + 1) / 2 / (lanes * (n - 1) + 1))
    return model.n_head * math.ceil(n_tokens * a_token)
