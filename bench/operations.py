"""Check that the time of a training step is proportional to its operations.

Measures the operations per second of 80 models with random shapes, vocabularies and batches, as
`microgpt train --minutes` does before training. Prints the slowest, the median and the fastest
models in billions of operations per second, and the standard deviation of the speed's logarithm,
and writes them to bench/results.

    uv run python bench/operations.py

Takes two minutes.
"""

import argparse
import json
import math
import random
import statistics
from datetime import date

from train_speed import machine, results_file
from trainings import parsed

from microgpt.config import ModelConfig, TrainConfig
from microgpt.training.presets import VARIANT
from microgpt.training.speed import operations_per_second

N_MODELS = 80


def main() -> None:
    """Time every model, print the extremes and write the results."""
    parsed(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    rng = random.Random(1)
    kept = sorted((measured(rng) for _ in range(N_MODELS)), key=lambda row: row["gops"])
    for row in (*kept[:3], kept[N_MODELS // 2], *kept[-3:]):
        print(" ".join(f"{name} {value:.4g}" for name, value in row.items()))
    spread = statistics.stdev(math.log(row["gops"]) for row in kept)
    print(f"standard deviation of ln(operations per second): {spread:.3f}")
    facts = {"machine": f"{machine()}, float32", "date": str(date.today()), "spread": spread}
    results_file("operations").write_text(json.dumps(facts | {"models": kept}, indent=1) + "\n")


def measured(rng: random.Random) -> dict[str, float]:
    """Draw a model and a batch, and return its sizes, and speed."""
    model = ModelConfig(
        n_embd=rng.choice((16, 24, 32, 48, 64, 96, 128, 160, 192, 256)),
        n_layer=rng.choice((1, 2, 3, 4, 6, 8)),
        block_size=rng.choice((8, 16, 32, 64, 128, 256)),
        vocab_size=rng.choice((30, 80, 150, 500, 1000, 2000, 4000)),
        **VARIANT,
    )
    config = TrainConfig(
        batch_size=max(1, rng.choice((128, 256, 512, 1024, 2048)) // model.block_size),
        optimizer=rng.choice(("muon", "muon", "adamw")),
        dropout=rng.choice((0.0, 0.1)),
    )
    names = ("n_embd", "n_layer", "block_size", "vocab_size")
    return {
        **{name: getattr(model, name) for name in names},
        "batch_size": config.batch_size,
        "is_muon": float(config.optimizer == "muon"),
        "gops": operations_per_second(model, config, length=model.block_size) / 1e9,
    }


if __name__ == "__main__":
    main()
