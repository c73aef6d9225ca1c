"""Is the time of a training step proportional to its operations?

With an error of 9 to 11 % (docs/decisions/0030-defaults-that-fit-the-data.md).

    uv run python bench/study.py operations

Measures the operations per second of 80 models with random shapes, vocabularies and batches, as
`microgpt train --minutes` does before training. Prints the slowest, the median and the fastest
models in billions of operations per second, and the standard deviation of the speed's logarithm.
Two minutes.
"""

import math
import random
import statistics
from argparse import Namespace

from harness import pin
from machine import machine

from microgpt.config import ModelConfig, TrainConfig
from microgpt.training.operations import operations_per_second
from microgpt.training.presets import VARIANT

N_MODELS = 80


def measure(options: Namespace) -> None:
    """Time every model, and print the extremes."""
    pin()
    print(f"{machine()}, float32")
    rng = random.Random(1)
    kept = sorted((measured(rng) for _ in range(N_MODELS)), key=lambda row: row["gops"])
    for row in (*kept[:3], kept[N_MODELS // 2], *kept[-3:]):
        print(" ".join(f"{name} {value:.4g}" for name, value in row.items()))
    spread = statistics.stdev(math.log(row["gops"]) for row in kept)
    print(f"standard deviation of ln(operations per second): {spread:.3f}")


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
