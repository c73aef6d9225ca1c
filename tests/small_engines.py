"""What tests of the compiled engine share: its numbers, and a training run up to a step."""

import math

from microgpt_engine.trainer import CompiledEngine


def run_to(engine: CompiledEngine, until: int) -> list[float]:
    """Train up to a step or a nan; return the losses."""
    losses: list[float] = []
    while engine.n_steps < until and not any(map(math.isnan, losses)):
        losses += engine.run(until)
    return losses


def numbers(engine: CompiledEngine) -> list[list[float]]:
    """Return the weights, and Adam's means."""
    return [array.tolist() for array in engine.numbers()]
