"""Arrays and settings of a training step, in the types that the kernels require.

Layout: weights; columns in the buffers. See docs/performance.md#a-step.
"""

from typing import NamedTuple

import numpy as np

from microgpt import config as constants
from microgpt.config import ModelConfig, TrainConfig
from microgpt.engine.architecture import Architecture, architecture_of
from microgpt.engine.buffers import Buffers
from microgpt.engine.weights import Array, Weights, padded
from microgpt.model_config import count_params


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


class Workspace(NamedTuple):
    """The arrays used by a training thread."""

    state: OptimizerState  # the gradients cover the documents processed so far in the step
    weights: Weights  # views of the matrices in state.params
    dweights: Weights  # views of the matrices in state.grads
    buffers: Buffers
    scratch: Array  # see `find_directions`
    progress: Array  # (3): completed steps; number and loss of documents read in the next step


def muon_shapes(
    model: ModelConfig, config: TrainConfig, dtype: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the shapes of `OptimizerState.directions` and of the scratch memory of a thread."""
    side = padded(model.n_embd, dtype)
    if config.optimizer != "muon":
        return (0, side), (0, side)
    n_rows = model.n_layer * (4 + 2 * model.n_ff_exp) * model.n_embd
    return (n_rows, side), (2 * side + model.n_ff_exp * model.n_embd, side)
