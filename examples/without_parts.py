"""What the parts of a GPT are worth: train without each of them, and look at the held-out loss.

A matrix that stays zero switches off what it writes: attn_wo the attention, mlp_fc2 the MLP, wpe
the positions. A hook keeps it zero, on any engine. Prints the mean of the seeds and the half width
of its 95 % interval; differences are paired by seed.

    uv run python examples/without_parts.py [--steps 1000 10000] [--seeds 10]
"""

import argparse
import math
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

import numpy as np

from microgpt import (
    Hook,
    InferenceGpt,
    ModelConfig,
    TrainConfig,
    by_name,
    load_text,
    split,
    train,
    weight_shapes,
)

KARPATHY = ModelConfig()
VARIANTS = {
    "whole": (KARPATHY, ()),
    "no attention": (KARPATHY, ("attn_wo",)),
    "no MLP": (KARPATHY, ("mlp_fc2",)),
    "no positions": (KARPATHY, ("wpe",)),
    "one head": (ModelConfig(n_head=1), ()),
}
T_95 = {3: 4.303, 5: 2.776, 10: 2.262}  # two-sided 95 % quantiles of Student's t, by seeds


class StayZero(Hook):
    """Sets matrices to zero before training and after each step."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def next_step(self, run: Any) -> int:
        return run.step + 1

    def on_step(self, run: Any) -> None:
        run.engine.set_weights(self.zeroed(run.plan.model, run.engine.flat_weights()))

    def zeroed(self, model: ModelConfig, weights: np.ndarray) -> np.ndarray:
        start = 0
        for name, (rows, columns) in weight_shapes(model).items():
            end = start + rows * columns
            if name.endswith(self.names):
                weights[start:end] = 0
            start = end
        return weights


def held_out_loss(model: ModelConfig, names: tuple[str, ...], steps: int, seed: int) -> float:
    hook = StayZero(names)
    config = TrainConfig(steps=steps, seed=seed)
    result = train(SETS.train, model=model, config=config, hooks=[hook] if names else [])
    if names:  # the hook is not called after the last step
        flat = hook.zeroed(result.model, np.array(result.state.weights))
        result = replace(result, weights=by_name(result.model, flat.tolist()))
    return InferenceGpt(result).evaluate(SETS.validation).loss


def interval(numbers: list[float]) -> str:
    half = T_95[len(numbers)] * stdev(numbers) / math.sqrt(len(numbers))
    return f"{fmean(numbers):.3f} ± {half:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--seeds", type=int, default=10, choices=T_95)
    options = parser.parse_args()
    for steps in options.steps:
        print(f"\n| {steps:,} steps, {options.seeds} seeds | loss | difference |")
        print("| --- | ---: | ---: |")
        whole: list[float] = []
        for name, (model, names) in VARIANTS.items():
            losses = [held_out_loss(model, names, steps, 42 + i) for i in range(options.seeds)]
            whole = whole or losses
            differences = [one - other for one, other in zip(losses, whole, strict=True)]
            row = interval(differences) if losses is not whole else ""
            print(f"| {name} | {interval(losses)} | {row} |", flush=True)


SETS = split(load_text("data/names.txt"), validation=0.1)

if __name__ == "__main__":
    main()
