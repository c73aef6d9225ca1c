"""Muon on the matrices of all blocks; compiled version of `MuonEngine.update`.

Layout: weights; each matrix has C columns and at least as many rows, a Gram matrix has C of both.
See docs/performance.md#a-step. Shapes: C = n_embd, m = rows of a matrix.
"""

import math

from microgpt.engine.compiler import inlined, kernel
from microgpt.engine.kernels.matmul import linear
from microgpt.engine.simd.lanes import total
from microgpt.engine.simd.tiles import transpose_tile
from microgpt.engine.simd.vector import Array, lanes, load, splat, store
from microgpt.newton_schulz import COEFFICIENTS, N_ITERATIONS, NORM_EPS

_A, _B, _C = COEFFICIENTS


@kernel
def find_direction(
    grads: Array,  # same shape as means and direction: (m, C), rows padded to whole vectors
    means: Array,
    n_columns: int,  # C
    momentum: float,  # decay rate of the running means
    direction: Array,  # output
    scratch: Array,  # (at least 2 padded C + m, padded C)
) -> None:
    """Set `direction` to the orthogonalized momentum of a matrix."""
    m, C = grads.shape[0], n_columns
    side = scratch.shape[1]
    gram, square = scratch[:side], scratch[side : 2 * side]
    x, y = scratch[2 * side :][:m], direction
    if N_ITERATIONS % 2 == 0:
        x, y = y, x
    _normalized_momentum(grads, means, momentum, x)
    for _ in range(N_ITERATIONS):
        _symmetric_product(x[:, :C].T, x, gram)
        _symmetric_product(gram[:C, :C], gram, square)
        _polynomial(gram, square, C)
        linear(x[:, :C], square, y, C)
        x, y = y, x


@kernel
def muon(
    params: Array,  # all arrays: (m, C), rows padded to whole vectors
    grads: Array,
    means: Array,
    direction: Array,  # see `find_direction`
    kept: float,  # weight decay factor: 1 - learning rate * weight decay
    scale: float,  # learning rate times a factor that depends on the shape
    momentum: float,  # decay rate of the running means
) -> None:
    """Update a weight matrix and the running means of its gradient."""
    for i in range(params.shape[0]):
        for j in range(0, params.shape[1], lanes(params)):
            mean = momentum * load(means, i, j) + (1 - momentum) * load(grads, i, j)
            store(means, i, j, mean)
            store(params, i, j, kept * load(params, i, j) - scale * load(direction, i, j))


@inlined
def _normalized_momentum(grads: Array, means: Array, momentum: float, x: Array) -> None:
    """Set x to the Nesterov momentum after this step, scaled to a Frobenius norm of 1."""
    squares = splat(x, 0)
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            grad = load(grads, i, j)
            mean = momentum * load(means, i, j) + (1 - momentum) * grad
            ahead = momentum * mean + (1 - momentum) * grad
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
