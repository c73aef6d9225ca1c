"""Helpers for tests of the compiled engine: train up to a step, and return weights and moments."""

import math

from microgpt_engine.trainer import CompiledTraining


def run_to(engine: CompiledTraining, until: int) -> list[float]:
    """Train up to the step `until` or until a loss is NaN; return the losses."""
    losses: list[float] = []
    while engine.n_steps < until and not any(map(math.isnan, losses)):
        losses += engine.run(until)
    return losses


def numbers(engine: CompiledTraining) -> list[list[float]]:
    """Return the weights of an engine, and the two moments of Adam."""
    return [array.tolist() for array in engine.numbers()]
