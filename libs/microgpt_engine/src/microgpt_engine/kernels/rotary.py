"""Rotary positions and normalization of queries and keys, and their gradients.

Compiled version of `GptVariant.query_or_key`; the angles are computed in model_variants.py.
The layout is "columns". Rows 2 i and 2 i + 1 of a head are rotated together; the same rows of a
table contain the cosine and sine for each position. `adjust_row` uses one row per token. See
docs/engine.md#a-step.
Shapes: C = n_embd, D = head_dim, N = columns, T = block_size.
"""

import math

from microgpt import QK_SCALE
from microgpt_engine.compiler import inlined, kernel
from microgpt_engine.kernel_settings import Settings
from microgpt_engine.kernels.layers import rmsnorm, rmsnorm_backward_in_place
from microgpt_engine.simd.lanes import from_lane, swap_pairs, total
from microgpt_engine.simd.vector import Array, lanes, load, splat, square_root, store


@kernel
def read_rotation(table: Array, doc_starts: Array, n_docs: int, rotation: Array) -> None:
    """Copy the column of table (D, T) for the position of each token to rotation (D, N)."""
    for doc in range(n_docs):
        start, length = doc_starts[doc], doc_starts[doc + 1] - doc_starts[doc]
        for i in range(table.shape[0]):
            # The next document overwrites the columns beyond length.
            for t in range(0, length, lanes(table)):
                store(rotation, i, start + t, load(table, i, t))


@kernel
def rotate(x: Array, rotation: Array, sign: float, N: int) -> None:
    """Rotate the heads of x (multiple of D, N) in place; a sign of -1 rotates backward."""
    D, low = rotation.shape[0], 0
    while low < x.shape[0]:
        for i in range(0, D, 2):
            for n in range(0, N, lanes(x)):
                a, b = load(x, low + i, n), load(x, low + i + 1, n)
                cosine, sine = load(rotation, i, n), sign * load(rotation, i + 1, n)
                store(x, low + i, n, a * cosine - b * sine)
                store(x, low + i + 1, n, a * sine + b * cosine)
        low += D


@inlined
def score_scale(model: Settings) -> float:
    """Return the scale factor of the attention scores."""
    scale = QK_SCALE * QK_SCALE if not model.karpathy else 1.0
    return scale / math.sqrt(model.n_embd // model.n_head)


@kernel
def adjust(qk: Array, model: Settings, rotation: Array, scales: Array, N: int) -> None:
    """Normalize and rotate queries and keys (2 C, N) in place; Karpathy's model does neither."""
    if not model.karpathy:
        D = qk.shape[0] // (2 * model.n_head)
        for head in range(2 * model.n_head):
            x = qk[head * D : (head + 1) * D]
            rmsnorm(x, x, scales, head, N, 0)
        rotate(qk, rotation, 1.0, N)


@kernel
def adjust_backward(
    dqk: Array, qk: Array, model: Settings, rotation: Array, scales: Array, N: int
) -> None:
    """Replace dqk, the gradient of the output qk of `adjust`, with the gradient of its input."""
    if not model.karpathy:  # rmsnorm and rotation commute, so their order does not matter
        D = qk.shape[0] // (2 * model.n_head)
        for head in range(2 * model.n_head):
            rows = slice(head * D, (head + 1) * D)
            rmsnorm_backward_in_place(dqk[rows], qk[rows], scales, head, N)
        rotate(dqk, rotation, -1.0, N)


@inlined
def adjust_row(qkv: Array, row: int, position: int, model: Settings) -> None:
    """Apply `adjust` to the queries and keys of one token, stored in a row of qkv (rows, 3 C)."""
    step, width = lanes(qkv), 2 * model.n_embd
    if not model.karpathy:
        D, low = model.n_embd // model.n_head, 0
        while low < width:
            _normalize_head(qkv, row, low, D)
            low += D
        cosines, sines = model.row_rotation[0], model.row_rotation[1]
        for c in range(0, width, step):
            x = load(qkv, row, c)
            turned = swap_pairs(x) * load(sines, position, c)
            store(qkv, row, c, x * load(cosines, position, c) + turned)


@inlined
def _normalize_head(x: Array, row: int, low: int, D: int) -> None:
    """Apply rmsnorm to the D numbers in a row of x that start at column `low`."""
    zero, squares = splat(x, 0), splat(x, 0)
    first = low // lanes(x) * lanes(x)
    for c in range(first, low + D, lanes(x)):
        xc = from_lane(low - c, load(x, row, c), zero)
        xc = from_lane(low + D - c, zero, xc)
        squares = squares + xc * xc
    scale = 1 / square_root(splat(x, total(squares)) / D + 1e-5)
    for c in range(first, low + D, lanes(x)):
        xc = load(x, row, c)
        inside = from_lane(low - c, xc * scale, xc)
        store(x, row, c, from_lane(low + D - c, xc, inside))
