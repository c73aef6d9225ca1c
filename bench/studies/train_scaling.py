"""How does the cost per token grow with width, depth, context and batch size?

With the weights, at 182 to 239 GFLOP/s on a Zen 5; 120 at a width of 16
(docs/measurements/speed.md).

    uv run python bench/study.py train_scaling [--rounds 5]

Varies one size of a medium model at a time. The compiled engine trains on documents of random
tokens that fill the context.
"""

import random
import statistics
from argparse import Namespace
from dataclasses import replace
from functools import partial
from time import perf_counter

import altair as alt
import numpy as np
from harness import pin
from machine import machine
from tables import Rows, bare_table, conditions, processor

from microgpt.config import ModelConfig, TrainConfig
from microgpt.engine.training.trainer import CompiledEngine
from microgpt.model_config import count_params
from microgpt_report.look import BLUE, ORANGE
from microgpt_report.setting_names import with_name
from microgpt_report.theme import LOG

MIDDLE, BATCH = ModelConfig(n_embd=64, n_head=4, n_layer=2, block_size=64, vocab_size=64), 16
SIZES = {
    "n_embd": (16, 32, 48, 64, 96, 128, 192, 256),
    "n_layer": (1, 2, 4, 8),
    "block_size": (8, 16, 32, 64, 128, 256, 512),
    "batch_size": (1, 2, 4, 8, 16, 32, 64),
}
OPTIONS = {"rounds": 5}
ROUND_S = 0.3  # approximate duration of a training round in seconds


def measure(options: Namespace) -> dict:
    """Time every size."""
    pin()
    sizes = {
        name: [cost(name, size, options.rounds) for size in sizes] for name, sizes in SIZES.items()
    }
    return {"machine": f"{machine()}, float32", "sizes": sizes}


def cost(name: str, size: int, rounds: int) -> dict:
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


def scaling_tables(*machines: dict) -> str:
    """Return a table for each size that train_scaling.py varies."""
    tables = [
        bare_table(
            [name, *(str(row["size"]) for row in rows)], partial(scaling_rows, name), [*machines]
        )
        for name, rows in machines[0]["sizes"].items()
    ]
    return "\n\n".join([*tables, conditions([*machines])])


def scaling_rows(name: str, scaling: dict) -> Rows:
    """Return the time per token at each value of a size, and the speed in GFLOP/s."""
    rows = scaling["sizes"][name]
    return [
        ["µs per token", *(f"{row['ns_per_token'] / 1e3:.2f}" for row in rows)],
        ["GFLOP/s", *(f"{row['gflops']:.0f}" for row in rows)],
    ]


BASE = "the others: width 64, heads 4, layers 2, context 64, batch size 16"


def costs(*machines: dict) -> alt.Chart:
    """Return the chart of the cost per token against each size, for each machine."""
    values = [
        {
            "machine": processor(machine),
            "what": with_name(name),
            "size": row["size"],
            "cost": row["ns_per_token"] / 1e3,
        }
        for machine in machines
        for name, rows in machine["sizes"].items()
        for row in rows
    ]
    order = [with_name(name) for name in machines[0]["sizes"]]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "size:Q",
                scale=alt.Scale(type="log", base=2),
                axis=alt.Axis(values=[2**i for i in range(10)], labelOverlap="greedy"),
                title=f"size{LOG}",
            ),
            y=alt.Y(
                "cost:Q",
                scale=alt.Scale(type="log", domain=[0.5, 200]),
                axis=alt.Axis(values=[1, 10, 100]),
                title=f"µs per token{LOG}",
            ),
            color=alt.Color("machine:N", scale=alt.Scale(range=[ORANGE, BLUE]), title=None),
        )
        .properties(width=240, height=150)
        .facet(alt.Facet("what:N", title=None, sort=order), columns=2)
        .resolve_scale(x="independent")
        .properties(title=alt.Title("Cost per token when one size varies", subtitle=BASE))
    )


TABLES = {"train_scaling": scaling_tables}
PICTURES = {"train_scaling": costs}
