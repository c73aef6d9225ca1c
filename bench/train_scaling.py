"""Measure how the cost per token grows with width, depth, context and batch size.

Varies one size of a medium model at a time. The compiled engine trains on documents of random
tokens that fill the context. Prints the nanoseconds per token, the GFLOP/s, and the ratio to the
smallest value of the size, and writes them to bench/results.

    uv run python bench/train_scaling.py [--rounds 5]
"""

import argparse
import json
import os
import random
import statistics
from dataclasses import replace
from datetime import date
from time import perf_counter

import numpy as np
from train_speed import machine, results_file

from microgpt.config import ModelConfig, TrainConfig
from microgpt.engine.training.trainer import CompiledEngine
from microgpt.model import count_params

MIDDLE, BATCH = ModelConfig(n_embd=64, n_head=4, n_layer=2, block_size=64, vocab_size=64), 16
SIZES = {
    "n_embd": (16, 32, 48, 64, 96, 128, 192, 256),
    "n_layer": (1, 2, 4, 8),
    "block_size": (8, 16, 32, 64, 128, 256, 512),
    "batch_size": (1, 2, 4, 8, 16, 32, 64),
}
ROUND_S = 0.3  # approximate duration of a training round in seconds


def main() -> None:
    """Time every size, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{machine()}, float32")
    kept: dict = {"machine": f"{machine()}, float32", "date": str(date.today()), "sizes": {}}
    for name, sizes in SIZES.items():
        kept["sizes"][name] = [measure(name, size, rounds) for size in sizes]
        first = kept["sizes"][name][0]["ns_per_token"]
        for row in kept["sizes"][name]:
            print(
                f"{name:10} {row['size']:4} | {row['ns_per_token']:9.0f} ns/token | "
                f"{row['gflops']:6.1f} GFLOP/s | {row['ns_per_token'] / first:6.2f} ×"
            )
    results_file("train_scaling").write_text(json.dumps(kept, indent=1) + "\n")


def measure(name: str, size: int, rounds: int) -> dict:
    """Return the cost per token and the GFLOP/s in the median round."""
    batch_size = size if name == "batch_size" else BATCH
    model = MIDDLE if name == "batch_size" else replace(MIDDLE, **{name: size})
    rng = random.Random(1)
    docs = [
        [rng.randrange(model.vocab_size) for _ in range(model.block_size + 1)] for _ in range(64)
    ]
    config = TrainConfig(steps=10**6, batch_size=batch_size, lr=1e-4)
    engine = CompiledEngine(model, config, docs, dtype="float32")
    engine.set_weights(np.random.default_rng(1).normal(0, 0.08, count_params(model)))
    engine.run(3)
    times = []
    for _ in range(rounds):
        first, started = engine.n_steps, perf_counter()
        while perf_counter() - started < ROUND_S or engine.n_steps == first:
            engine.run(config.steps)
        n_tokens = (engine.n_steps - first) * batch_size * model.block_size
        times.append((perf_counter() - started) / n_tokens)
    seconds = statistics.median(times)
    return {
        "size": size,
        "ns_per_token": seconds * 1e9,
        "gflops": flops_per_token(model) / seconds / 1e9,
    }


def flops_per_token(model: ModelConfig) -> int:
    """Return the FLOPs per token of the forward and backward pass.

    The forward pass takes two FLOPs per weight in a matrix product, plus attention to half of the
    context on average. The backward pass takes twice as many FLOPs.
    """
    embeddings = (model.vocab_size + model.block_size) * model.n_embd
    products = count_params(model) - embeddings
    attention = model.n_layer * model.n_embd * (model.block_size + 1)  # scores and weighted sums
    return 3 * 2 * (products + attention)


if __name__ == "__main__":
    main()
