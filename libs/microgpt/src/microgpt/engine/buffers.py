"""The arrays that a micro-batch is worked on in.

Allocated once, for the longest micro-batch there may be. Shapes: C = n_embd, V = vocab_size, T =
block_size, L = n_layer, N = columns.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig
from microgpt.engine.simd.vector import lanes_of
from microgpt.engine.weights import aligned_zeros, padded


class Buffers(NamedTuple):
    """What a micro-batch consists of, what the gradient needs of the forward pass, and scratch."""

    # The documents, a column a token.
    tokens: NDArray[Any]  # (N)
    targets: NDArray[Any]  # (N), the token that follows
    counted: NDArray[Any]  # (1, N), 1 where its prediction counts, else 0
    positions: NDArray[Any]  # (N), in its document
    keys: NDArray[Any]  # (1, N), int32; see `dropout`
    doc_starts: NDArray[Any]  # (N + 1), the first column of each document, and the end of the last

    # What the forward pass leaves for the gradient.
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

    # What every layer writes anew.
    x: NDArray[Any]  # (C, N), the residual stream
    logits: NDArray[Any]  # (V, N), then their gradient
    logit_norms: NDArray[Any]  # (2, N)
    dx: NDArray[Any]  # (C, N)
    dbranch: NDArray[Any]  # (C, N), of what a block read
    dqkv: NDArray[Any]  # (3 C, N)
    dhidden: NDArray[Any]  # (n_ff_exp C, N)
    dscores: NDArray[Any]  # (longest document, lanes)
    tile: NDArray[Any]  # (lanes, lanes)
    transposed: NDArray[Any]  # (N, C), of whatever is next
    dwte: NDArray[Any]  # (V, C), zeros between two micro-batches
    dwpe: NDArray[Any]  # (T, C), likewise


def allocate_buffers(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> Buffers:
    """Return buffers for micro-batches of up to n_tokens, whose documents are not longer."""
    V, C, L, hidden = model.vocab_size, model.n_embd, model.n_layer, model.n_ff_exp * model.n_embd
    lanes, n_keys = lanes_of(dtype), _n_keys(model, dtype, n_tokens, longest)
    # Attention writes up to a vector behind the last column. An odd number of vectors a row keeps
    # the rows of one column from sharing a few places of the cache, as powers of two would.
    N = (padded(n_tokens + lanes, dtype) // lanes | 1) * lanes

    def columns(*shape: int) -> NDArray[Any]:
        *outer, rows = shape  # transposing takes whole squares: rows of zeros behind the last
        return aligned_zeros((*outer, padded(rows, dtype), N), dtype)[..., :rows, :]

    def whole(n: int) -> NDArray[Any]:
        return np.zeros(n, np.int64)

    return Buffers(
        tokens=whole(n_tokens),
        targets=whole(n_tokens),
        counted=columns(1),
        positions=whole(n_tokens),
        keys=aligned_zeros((1, N), "int32"),
        doc_starts=whole(n_tokens + 1),
        embedded=columns(C),
        embedded_scale=columns(1),
        attn_norm=columns(L, C),
        attn_norm_scale=columns(L),
        qkv=columns(L, 3 * C),
        attn_weights=aligned_zeros((L, n_keys, lanes), dtype),
        attn_out=columns(L, C),
        mlp_norm=columns(L, C),
        mlp_norm_scale=columns(L),
        hidden=columns(L, hidden),
        x=columns(C),
        logits=columns(V),
        logit_norms=columns(2),
        dx=columns(C),
        dbranch=columns(C),
        dqkv=columns(3 * C),
        dhidden=columns(hidden),
        dscores=aligned_zeros((padded(longest, dtype), lanes), dtype),
        tile=aligned_zeros((lanes, lanes), dtype),
        transposed=aligned_zeros((N, padded(C, dtype)), dtype),
        dwte=aligned_zeros((V, padded(C, dtype)), dtype),
        dwpe=aligned_zeros((model.block_size, padded(C, dtype)), dtype),
    )


def buffer_bytes(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> int:
    """Return the memory of the buffers, but for what pads them to whole vectors."""
    V, C, L, hidden = model.vocab_size, model.n_embd, model.n_layer, model.n_ff_exp * model.n_embd
    saved = C + 1 + L * (6 * C + 2 + hidden)  # for the gradient
    scratch = 7 * C + V + 3 + hidden
    n_keys = L * _n_keys(model, dtype, n_tokens, longest) + longest
    embeddings = (V + model.block_size) * C
    numbers = n_tokens * (saved + scratch) + n_keys * lanes_of(dtype) + embeddings
    return numbers * np.dtype(dtype).itemsize


def _n_keys(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> int:
    """Return the most keys that the vectors of queries of a micro-batch see, over all heads.

    A document of n vectors of queries needs lanes · n (n + 1) / 2 rows and has at least
    lanes · (n - 1) + 1 tokens. A token needs the most of them where n is 1 or as large as it gets.
    """
    lanes = lanes_of(dtype)
    n = padded(longest, dtype) // lanes
    a_token = max(lanes, lanes * n * (n + 1) / 2 / (lanes * (n - 1) + 1))
    return model.n_head * math.ceil(n_tokens * a_token)
