"""AdamW on all weights at once; compiled version of `ReferenceEngine.update`."""

from typing import NamedTuple

import numpy as np

from microgpt.config import ModelConfig, TrainConfig
from microgpt.engine.jit import kernel
from microgpt.engine.simd.lanes import total
from microgpt.engine.simd.vector import Array, lanes, load, splat, square_root, store


class OptimizerState(NamedTuple):
    """Weights, gradients and Adam's running means, each (rows, whole vectors)."""

    params: Array
    grads: Array
    m: Array
    v: Array


class StepSettings(NamedTuple):
    """Settings of a training step, in the types that the compiled kernels require."""

    n_head: int
    batch_size: int
    dropout: float
    seed: int
    beta1: float
    beta2: float
    eps: float
    weight_decay: float

    @classmethod
    def of(cls, model: ModelConfig, config: TrainConfig, dtype: str) -> "StepSettings":
        """Convert the settings of a training run."""
        return cls(
            n_head=int(model.n_head),
            batch_size=int(config.batch_size),
            dropout=float(config.dropout),
            seed=int(config.seed),
            beta1=float(config.beta1),
            beta2=float(config.beta2),
            # A smaller epsilon would round to 0 in float32, and unused weights would become 0 / 0.
            eps=max(float(config.adam_eps), float(np.finfo(dtype).tiny)),
            weight_decay=float(config.weight_decay),
        )


@kernel
def adam(state: OptimizerState, n_steps: int, lr: float, settings: StepSettings) -> None:
    """Update all weights with AdamW; n_steps is the number of steps including the current one."""
    params, grads, m, v = state  # Loshchilov & Hutter 2019, alg. 2
    beta1, beta2, eps = settings.beta1, settings.beta2, settings.eps
    kept = 1 - lr * settings.weight_decay
    lr_by_bias = lr / (1 - beta1**n_steps)  # bias correction, because the means start at 0
    v_by_bias = 1 / (1 - beta2**n_steps)
    for i in range(params.shape[0]):
        for j in range(0, params.shape[1], lanes(params)):
            grad = load(grads, i, j)
            mean = beta1 * load(m, i, j) + (1 - beta1) * grad
            square = beta2 * load(v, i, j) + (1 - beta2) * grad * grad
            store(m, i, j, mean)
            store(v, i, j, square)
            change = lr_by_bias * mean / (square_root(square * v_by_bias) + eps)
            store(params, i, j, kept * load(params, i, j) - change)


@kernel
def squares_are_finite(x: Array) -> bool:
    """Return whether all numbers of x (rows, whole vectors) and their squares are finite.

    An infinite square would make the running mean in `adam` infinite for all later steps.
    """
    zeros = splat(x, 0)  # 0 times a non-finite number is NaN, which propagates to the sum
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            xij = load(x, i, j)
            zeros = zeros + 0.0 * (xij * xij)
    return bool(total(zeros) == 0)
