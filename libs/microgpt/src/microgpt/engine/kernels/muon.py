"""Muon on the matrices of all blocks; compiled version of `MuonEngine.update`.

All matrices are stored with n_embd columns and at least as many rows. See `matmul` for the layout.
Shapes: C = n_embd, m = rows of a matrix.
"""

import math

from microgpt.engine.jit import inlined, kernel
from microgpt.engine.kernels.matmul import linear
from microgpt.engine.simd.lanes import total
from microgpt.engine.simd.tiles import transpose_tile
from microgpt.engine.simd.vector import Array, lanes, load, splat, store
from microgpt.newton_schulz import COEFFICIENTS, N_ITERATIONS, NORM_EPS

_A, _B, _C = COEFFICIENTS


@kernel
def muon(
    params: Array,  # same shape as grads and means: (m, C), rows padded to whole vectors
    grads: Array,
    means: Array,
    n_columns: int,  # C
    kept: float,  # weight decay factor: 1 - learning rate * weight decay
    scale: float,  # learning rate times a factor that depends on the shape
    momentum: float,  # decay rate of the running means
    scratch: Array,  # (at least 2 padded C + 2 m, padded C)
) -> None:
    """Update a weight matrix with Muon."""
    m, C = params.shape[0], n_columns
    side = scratch.shape[1]
    gram, square = scratch[:side], scratch[side : 2 * side]
    x, y = scratch[2 * side :][:m], scratch[2 * side + m :][:m]
    _normalized_mean(grads, means, momentum, x)
    for _ in range(N_ITERATIONS):
        _symmetric_product(x[:, :C].T, x, gram)
        _symmetric_product(gram[:C, :C], gram, square)
        _polynomial(gram, square, C)
        linear(x[:, :C], square, y, C)
        x, y = y, x
    for i in range(m):
        for j in range(0, params.shape[1], lanes(params)):
            store(params, i, j, kept * load(params, i, j) - scale * load(x, i, j))


@inlined
def _normalized_mean(grads: Array, means: Array, momentum: float, x: Array) -> None:
    """Update the running means; set x to the Nesterov momentum, scaled to a Frobenius norm of 1."""
    squares = splat(x, 0)
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            grad = load(grads, i, j)
            mean = momentum * load(means, i, j) + (1 - momentum) * grad
            ahead = momentum * mean + (1 - momentum) * grad
            store(means, i, j, mean)
            store(x, i, j, ahead)
            squares = squares + ahead * ahead
    factor = 1 / (math.sqrt(total(squares)) + NORM_EPS)
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            store(x, i, j, factor * load(x, i, j))


@inlined
def _symmetric_product(w: Array, x: Array, y: Array) -> None:
    """Set y = w x, which must be symmetric: (C, n), (n, C) -> (C, C)."""
    C, step = w.shape[0], lanes(x)
    for j in range(0, C, 2 * step):  # upper triangle; the lower triangle is copied from it
        n_columns = min(2 * step, C - j)
        linear(w[: j + n_columns], x[:, j:], y[:, j:], n_columns)
    for i in range(0, C, step):
        for j in range(i + step, C, step):
            transpose_tile(y, i, j, y, j, i)


@inlined
def _polynomial(gram: Array, square: Array, C: int) -> None:
    """Set `square` to a I + b gram + c square."""
    for i in range(C):
        for j in range(0, gram.shape[1], lanes(gram)):
            store(square, i, j, _B * load(gram, i, j) + _C * load(square, i, j))
        square[i, i] += _A
