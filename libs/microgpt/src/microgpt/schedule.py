"""The learning-rate schedule: linear warm-up, then linear decay to 0."""

from microgpt.model_config import ModelConfig


def learning_rate(step: int, *, lr: float, steps: int, warmup_steps: int = 0) -> float:
    """Return the learning rate of a step, counted from 0.

    Args:
        step: number of completed steps.
        lr: initial learning rate, without the warm-up.
        steps: total number of steps of the training run.
        warmup_steps: number of steps over which the rate rises.
    """
    warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    return lr * warmup * (1 - step / steps)


def default_lr(n_embd: int = ModelConfig.n_embd) -> float:
    """Return the default learning rate: 0.01 up to n_embd 16, then proportional to 1 / n_embd.

    Adam changes each weight by about the learning rate per step. A wider layer sums more such
    changes, so the rate is proportionally lower (Yang et al. 2022, "Tensor Programs V", table 8).
    """
    return 0.01 * min(1.0, ModelConfig.n_embd / n_embd)
