"""One optimizer step on all weights: AdamW, or Muon for the blocks and AdamW for the rest.

Compiled version of `ReferenceEngine.update` and `MuonEngine.update`. Gradients are not clipped:
Adam divides by their typical size, and Muon uses only their direction, so the steps are bounded.
The layout is "weights". The rows that AdamW updates come first, then the matrices that Muon
updates, which have C columns and at least C rows. A Gram matrix has C rows and C columns.
See docs/engine.md#a-step. Shapes: C = n_embd, m = rows of a matrix.
"""

import math

import numpy as np

from microgpt import COEFFICIENTS, MUON_LR_RATIO, MUON_MOMENTUM, N_ITERATIONS, NORM_EPS
from microgpt_engine.buffers import OptimizerState
from microgpt_engine.compiler import inlined, kernel
from microgpt_engine.kernel_settings import Settings
from microgpt_engine.kernels.layers import clear
from microgpt_engine.kernels.matmul import linear
from microgpt_engine.simd.lanes import total
from microgpt_engine.simd.tiles import transpose_tile
from microgpt_engine.simd.vector import Array, lanes, load, splat, square_root, store

_A, _B, _C = COEFFICIENTS


@kernel
def optimize(
    state: OptimizerState, lr: float, model: Settings, config: Settings, progress: Array
) -> None:
    """Update all weights, and begin the next step; see `Workspace` for `progress`.

    `find_directions` must have computed all directions.
    """
    n_steps = int(progress[0]) + 1
    adam(state, n_steps, lr, config)
    muon(state, lr * MUON_LR_RATIO, model, config)
    clear(state.grads, state.grads.shape[1])
    progress[0], progress[1], progress[2] = n_steps, 0, 0


@inlined
def adam(state: OptimizerState, n_steps: int, lr: float, config: Settings) -> None:
    """Apply AdamW (Loshchilov & Hutter 2019, alg. 2) to the rows that Muon does not update.

    n_steps is the number of steps including the current one.
    """
    params, m, v, beta1, beta2 = state.params, state.m, state.v, config.beta1, config.beta2
    # A smaller epsilon could round to 0, and the update of unused weights would be 0 / 0.
    eps = max(config.adam_eps, np.finfo(params.dtype).tiny)
    kept = 1 - lr * config.weight_decay
    lr_by_bias = lr / (1 - _power(beta1, n_steps))  # corrects the bias of means that start at 0
    v_by_bias = 1 / (1 - _power(beta2, n_steps))
    for i in range(params.shape[0] - state.directions.shape[0]):
        for j in range(0, params.shape[1], lanes(params)):
            grad = load(state.grads, i, j)
            mean = beta1 * load(m, i, j) + (1 - beta1) * grad
            square = beta2 * load(v, i, j) + (1 - beta2) * grad * grad
            store(m, i, j, mean)
            store(v, i, j, square)
            change = lr_by_bias * mean / (square_root(square * v_by_bias) + eps)
            store(params, i, j, kept * load(params, i, j) - change)


@inlined
def _power(base: float, n: int) -> float:
    """Return base**n by repeated squaring; the `pow` of C libraries rounds differently."""
    power = 1.0
    while n > 0:
        if n & 1:
            power *= base
        base *= base
        n >>= 1
    return power


@kernel
def squares_are_finite(x: Array) -> bool:
    """Return whether the squares of all numbers in x are finite; rows are padded to whole vectors.

    An infinite square would make the running mean in `adam` infinite for all later steps.
    """
    zeros = splat(x, 0)  # 0 times a non-finite number is NaN, which propagates to the sum
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            xij = load(x, i, j)
            zeros = zeros + 0.0 * (xij * xij)
    return bool(total(zeros) == 0)


@inlined
def muon(state: OptimizerState, lr: float, model: Settings, config: Settings) -> None:
    """Apply Muon to the rows that AdamW does not update, and update their running means."""
    params, m, momentum = state.params, state.m, MUON_MOMENTUM
    n = params.shape[0] - state.directions.shape[0]
    kept = 1 - lr * config.weight_decay
    fc1 = n + 4 * model.n_layer * model.n_embd
    fc2 = fc1 + model.n_layer * model.n_ff_exp * model.n_embd
    for i in range(n, params.shape[0]):
        # Muon scales updates by sqrt(rows / columns) if rows > columns, which holds only for fc1.
        scale = lr * math.sqrt(model.n_ff_exp) if fc1 <= i < fc2 else lr
        for j in range(0, params.shape[1], lanes(params)):
            mean = momentum * load(m, i, j) + (1 - momentum) * load(state.grads, i, j)
            store(m, i, j, mean)
            change = scale * load(state.directions, i - n, j)
            store(params, i, j, kept * load(params, i, j) - change)


@kernel
def find_directions(
    state: OptimizerState,
    model: Settings,
    first: int,
    stride: int,
    scratch: Array,  # (at least 2 padded C + m, padded C)
) -> None:
    """Compute Muon's update directions for every stride-th matrix, from index `first` on.

    The direction of a matrix is its orthogonalized momentum.
    """
    C, side, n_square = model.n_embd, scratch.shape[1], 4 * model.n_layer
    gram, square, room = scratch[:side], scratch[side : 2 * side], scratch[2 * side :]
    matrix, n_matrices = first, 6 * model.n_layer if state.directions.shape[0] else 0
    n_adam_rows = state.params.shape[0] - state.directions.shape[0]
    while matrix < n_matrices:
        # wq, wk and wv of all layers come first, then wo, fc1 and fc2.
        n_rows = C if matrix < n_square else model.n_ff_exp * C
        start = min(matrix, n_square) * C + max(0, matrix - n_square) * n_rows
        x, y = room[:n_rows], state.directions[start : start + n_rows]
        if N_ITERATIONS % 2 == 0:
            x, y = y, x
        start += n_adam_rows
        end = start + n_rows
        _normalized_momentum(state.grads[start:end], state.m[start:end], x)
        for _ in range(N_ITERATIONS):
            _symmetric_product(x[:, :C].T, x, gram)
            _symmetric_product(gram[:C, :C], gram, square)
            for i in range(C):  # set square to a I + b gram + c square
                for j in range(0, side, lanes(gram)):
                    store(square, i, j, _B * load(gram, i, j) + _C * load(square, i, j))
                square[i, i] += _A
            linear(x[:, :C], square, y, C)
            x, y = y, x
        matrix += stride


@inlined
def _normalized_momentum(grads: Array, means: Array, x: Array) -> None:
    """Set x to the Nesterov momentum after this step, scaled to a Frobenius norm of 1."""
    squares, momentum = splat(x, 0), MUON_MOMENTUM
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
    for j in range(0, C, 2 * step):  # compute the upper triangle; the lower one is its copy
        n_columns = min(2 * step, C - j)
        linear(w[: j + n_columns], x[:, j:], y[:, j:], n_columns)
    for i in range(0, C, step):
        for j in range(i + step, C, step):
            transpose_tile(y, i, j, y, j, i)
