"""One optimizer step on all weights: AdamW, or Muon for the blocks and AdamW for the rest."""

import math
from typing import NamedTuple

import numpy as np

from microgpt import config as constants
from microgpt.config import ModelConfig, TrainConfig
from microgpt.engine.architecture import Architecture, architecture_of
from microgpt.engine.jit import kernel
from microgpt.engine.kernels.adam import adam
from microgpt.engine.kernels.muon import muon
from microgpt.engine.simd.vector import Array
from microgpt.engine.weights import padded
from microgpt.model import count_params


class OptimizerState(NamedTuple):
    """Weights, gradients, running means and scratch memory; rows are padded to whole vectors."""

    params: Array
    grads: Array
    m: Array  # running means of the gradients
    v: Array  # running means of the squared gradients; not used by Muon
    scratch: Array  # see `muon`; no rows without Muon


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
def optimize(state: OptimizerState, n_steps: int, lr: float, settings: StepSettings) -> None:
    """Update all weights; n_steps is the number of steps including the current one."""
    s, n = settings, settings.n_adam_rows
    adam(
        state.params[:n], state.grads[:n], state.m[:n], state.v[:n],
        n_steps, lr, s.beta1, s.beta2, s.eps, s.weight_decay,
    )  # fmt: skip
    if n < state.params.shape[0]:
        lr = lr * s.muon_lr_ratio
        for matrix in range(6 * s.n_layer):
            _muon(state, matrix, lr, s)


@kernel
def _muon(state: OptimizerState, matrix: int, lr: float, settings: StepSettings) -> None:
    """Update one matrix with Muon: wq, wk and wv of all layers come first, then wo, fc1 and fc2."""
    s, C, scale = settings, settings.n_embd, lr
    n_square = 4 * s.n_layer
    n_rows = C if matrix < n_square else s.n_ff_exp * C
    start = s.n_adam_rows + min(matrix, n_square) * C + max(0, matrix - n_square) * n_rows
    rows = slice(start, start + n_rows)
    if n_square <= matrix < n_square + s.n_layer:  # fc1 has more outputs than inputs
        scale *= math.sqrt(s.n_ff_exp)
    muon(
        state.params[rows], state.grads[rows], state.m[rows],
        C, 1 - lr * s.weight_decay, scale, s.muon_momentum, state.scratch,
    )  # fmt: skip


def scratch_shape(model: ModelConfig, config: TrainConfig, dtype: str) -> tuple[int, int]:
    """Return the shape of the scratch memory for `optimize`."""
    side, hidden = padded(model.n_embd, dtype), model.n_ff_exp * model.n_embd
    return 2 * (side + hidden) * (config.optimizer == "muon"), side
