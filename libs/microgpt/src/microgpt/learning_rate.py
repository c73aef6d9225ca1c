"""Compute the default learning rate and the learning-rate schedule."""

from microgpt.model_config import ModelConfig


def default_lr(n_embd: int = ModelConfig.n_embd) -> float:
    """Return the default learning rate: 0.01 up to n_embd 16, then proportional to 1 / n_embd.

    Adam changes each weight by about the learning rate per step. A wider layer sums more such
    changes, so the rate is proportionally lower (Yang et al. 2022, "Tensor Programs V", table 8).
    """
    return 0.01 * min(1.0, ModelConfig.n_embd / n_embd)


def scheduled_lr(initial_lr: float, step: int, steps: int, warmup_steps: int) -> float:
    """Return the learning rate at a step, counted from 0: linear warm-up and decay to 0."""
    warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    return initial_lr * warmup * (1 - step / steps)
