"""One optimizer step on all weights: AdamW, or Muon for the blocks and AdamW for the rest.

Layout: weights; `_rows` finds the matrices among them. See docs/performance.md#a-step.
"""

import math

from microgpt.engine.compiler import inlined, kernel
from microgpt.engine.kernels.adam import adam
from microgpt.engine.kernels.muon import find_direction, muon
from microgpt.engine.simd.vector import Array
from microgpt.engine.training.workspace import OptimizerState, StepSettings


@kernel
def find_directions(
    state: OptimizerState, settings: StepSettings, first: int, stride: int, scratch: Array
) -> None:
    """Compute the directions of every stride-th matrix, starting with matrix `first`, for Muon."""
    n = settings.n_adam_rows
    if n < state.params.shape[0]:
        for matrix in range(first, 6 * settings.n_layer, stride):
            start, end = _rows(matrix, settings)
            find_direction(
                state.grads[start:end], state.m[start:end], settings.n_embd,
                settings.muon_momentum, state.directions[start - n : end - n], scratch,
            )  # fmt: skip


@kernel
def optimize(state: OptimizerState, n_steps: int, lr: float, settings: StepSettings) -> None:
    """Update all weights; n_steps is the number of steps including the current one.

    `find_directions` must have computed all directions.
    """
    s, n = settings, settings.n_adam_rows
    adam(
        state.params[:n], state.grads[:n], state.m[:n], state.v[:n],
        n_steps, lr, s.beta1, s.beta2, s.eps, s.weight_decay,
    )  # fmt: skip
    if n < state.params.shape[0]:
        lr = lr * s.muon_lr_ratio
        for matrix in range(6 * s.n_layer):
            start, end = _rows(matrix, s)
            # fc1 has more outputs than inputs.
            is_fc1 = 4 * s.n_layer <= matrix < 5 * s.n_layer
            muon(
                state.params[start:end], state.grads[start:end], state.m[start:end],
                state.directions[start - n : end - n], 1 - lr * s.weight_decay,
                lr * math.sqrt(s.n_ff_exp) if is_fc1 else lr, s.muon_momentum,
            )  # fmt: skip


@inlined
def _rows(matrix: int, settings: StepSettings) -> tuple[int, int]:
    """Return the first row of a matrix in all weights, and its end.

    wq, wk and wv of all layers come first, then wo, fc1 and fc2.
    """
    s, n_square = settings, 4 * settings.n_layer
    n_rows = s.n_embd if matrix < n_square else s.n_ff_exp * s.n_embd
    start = s.n_adam_rows + min(matrix, n_square) * s.n_embd + max(0, matrix - n_square) * n_rows
    return start, start + n_rows
