"""One optimizer step on all weights: AdamW, or Muon for the blocks and AdamW for the rest."""

import math
from typing import NamedTuple

import numpy as np

from microgpt import config as constants
from microgpt.config import ModelConfig, TrainConfig
from microgpt.engine.architecture import Architecture, architecture_of
from microgpt.engine.jit import inlined, kernel
from microgpt.engine.kernels.adam import adam
from microgpt.engine.kernels.muon import find_direction, muon
from microgpt.engine.simd.vector import Array
from microgpt.engine.weights import padded
from microgpt.model import count_params


class OptimizerState(NamedTuple):
    """Weights, gradients, running means and scratch memory; rows are padded to whole vectors."""

    params: Array
    grads: Array
    m: Array  # running means of the gradients
    v: Array  # running means of the squared gradients; not used by Muon
    directions: Array  # change of each matrix that Muon updates; no rows without Muon


class StepSettings(NamedTuple):
    """Settings of a training step, in the types that the compiled kernels require."""

    architecture: Architecture
    batch_size: int
    dropout: float
    seed: int
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    n_adam_rows: int  # number of rows of the weights that AdamW updates; Muon updates the others
    n_embd: int
    n_layer: int
    n_ff_exp: int
    muon_lr_ratio: float  # see `config.MUON_LR_RATIO`
    muon_momentum: float

    @classmethod
    def of(cls, model: ModelConfig, config: TrainConfig, dtype: str) -> "StepSettings":
        """Return the kernel settings of a training run."""
        n_rows = count_params(model) // model.n_embd
        if config.optimizer == "muon":
            n_rows -= model.n_layer * (4 + 2 * model.n_ff_exp) * model.n_embd
        return cls(
            architecture=architecture_of(model, dtype),
            batch_size=int(config.batch_size),
            dropout=float(config.dropout),
            seed=int(config.seed),
            beta1=float(config.beta1),
            beta2=float(config.beta2),
            # A smaller epsilon could round to 0, and the update of unused weights would be 0 / 0.
            eps=max(float(config.adam_eps), float(np.finfo(dtype).tiny)),
            weight_decay=float(config.weight_decay),
            n_adam_rows=int(n_rows),
            n_embd=int(model.n_embd),
            n_layer=int(model.n_layer),
            n_ff_exp=int(model.n_ff_exp),
            muon_lr_ratio=constants.MUON_LR_RATIO,
            muon_momentum=constants.MUON_MOMENTUM,
        )


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


def muon_shapes(
    model: ModelConfig, config: TrainConfig, dtype: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the shapes of `OptimizerState.directions` and of the scratch memory of a thread."""
    side = padded(model.n_embd, dtype)
    if config.optimizer != "muon":
        return (0, side), (0, side)
    n_rows = model.n_layer * (4 + 2 * model.n_ff_exp) * model.n_embd
    return (n_rows, side), (2 * side + model.n_ff_exp * model.n_embd, side)
