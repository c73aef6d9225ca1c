"""Ladders of four texts, an Elman network beside Karpathy's GPT, and the calibration of models.

A ladder is that of `microgpt ladder`. An Elman network also takes the operations of Karpathy's GPT
with 1,000 and 10,000 steps on names. Of models of names and of Shakespeare, the expected
calibration error on test documents is measured, at temperature 1 and at the one that has the lowest
loss on validation documents. Prints tables, and writes the results to bench/results.

    uv run python bench/ladder.py [--only names] [--seeds 3] [--core 1]

Existing results are reused unless --again is given. 20 minutes on one core of an AMD EPYC (Zen 5).
"""

import os
from dataclasses import dataclass
from functools import partial
from statistics import fmean, stdev
from time import perf_counter

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from harness import TRAINING, parsed, train_missing, trained
from tables import headed, runs_of
from texts import document_of

from microgpt import (
    CharTokenizer,
    InferenceGpt,
    ModelConfig,
    TrainConfig,
    hold_out,
    plan_training,
    train,
)
from microgpt.training.engines import prepare_engine
from microgpt_cli.calibration import Calibration
from microgpt_cli.counting import loss_of, targets_of, to_score
from microgpt_cli.elman import train_elman
from microgpt_cli.ladder import ladder, operations_of, predictions_of

TEXTS = ("names", "shakespeare", "identifiers", "technical prose")
STEPS = (1000, 10_000)
# Models whose calibration is measured: a text, and the settings of their training.
MODELS = {
    "names, 1,000 steps of Karpathy's": ("names", {"steps": 1000}),
    "names, 10,000 steps of Karpathy's": ("names", {"steps": 10_000}),
    "names, --budget 1e12": ("names", {"budget": 1e12, "single": True}),
    "shakespeare, --budget 1e12": ("shakespeare", {"budget": 1e12, "single": True}),
}
TEMPERATURES = np.arange(0.8, 1.31, 0.02)


@dataclass
class Losses:
    """Test losses and seconds of models, by name."""

    losses: dict[str, float]
    seconds: dict[str, float]

    def __str__(self) -> str:
        return ", ".join(f"{name} {loss:.3f}" for name, loss in self.losses.items())


@dataclass
class Error:
    """Expected calibration errors on test documents."""

    loss: float
    error: float
    temperature: float  # with the lowest loss on validation documents
    error_then: float
    loss_then: float

    def __str__(self) -> str:
        return f"{self.error:.2%}, {self.error_then:.2%} at temperature {self.temperature:.2f}"


def main() -> None:
    """Run the missing trainings and print the tables."""
    measures = {f"ladder, {name}": partial(climbed, text=name) for name in TEXTS}
    measures["karpathy"] = beside_karpathy
    measures |= {f"calibration, {name}": partial(calibrated, name=name) for name in MODELS}
    options = parsed(__doc__, only=(*measures, *TEXTS, *MODELS), **TRAINING)
    prepare_engine("compiled", uses=("training", "evaluation"))
    kept = train_missing("ladder", measures, options)
    for name, table in TABLES.items():
        print(f"\n{name}\n\n{table(kept)}")


def split_of(text: str):
    return hold_out(document_of(text), {"budget": 1e12})


def climbed(seed: int, label: str, *, text: str) -> Losses:
    """Return the losses of a ladder."""
    kind = "stream" if isinstance(document_of(text), str) else "lines"
    found = ladder(split_of(text), text=kind, seed=seed).rungs
    names = [rung.name.partition(" (n")[0].partition(",")[0] for rung in found]
    names = [f"{name}, more" if name in names[:i] else name for i, name in enumerate(names)]
    pairs = list(zip(names, found, strict=True))
    return Losses({n: each.loss for n, each in pairs}, {n: each.seconds for n, each in pairs})


def beside_karpathy(seed: int, label: str) -> Losses:
    """Return the losses of Karpathy's GPT and of an Elman network with as many operations."""
    sets, losses, seconds = split_of("names"), {}, {}
    tokenizer = CharTokenizer.from_documents(sets.docs)
    test = to_score(sets.test, tokenizer, "lines", 16)
    for steps in STEPS:
        given = {"steps": steps, "seed": seed}
        job = plan_training(sets, given, model=ModelConfig())
        started = perf_counter()
        gpt = train(sets, model=ModelConfig(), config=TrainConfig(steps=steps, seed=seed))
        seconds[f"GPT, {steps:,} steps"] = perf_counter() - started
        losses[f"GPT, {steps:,} steps"] = gpt.test_loss
        started = perf_counter()
        network = train_elman(job.chunks, operations_of(job), seed)
        seconds[f"Elman, {steps:,} steps"] = perf_counter() - started
        losses[f"Elman, {steps:,} steps"] = loss_of(network.probabilities, test)
    return Losses(losses, seconds)


def calibrated(seed: int, label: str, *, name: str) -> Error:
    """Train a model and return its calibration."""
    text, given = MODELS[name]
    sets = split_of(text)
    kind = "stream" if isinstance(document_of(text), str) else "lines"
    shape = None if "budget" in given else ModelConfig()
    job = plan_training(sets, {"seed": seed, "text": kind, **given}, model=shape)
    gpt = InferenceGpt(trained(job))
    rows = {}
    for which in ("validation", "test"):
        docs = to_score(getattr(sets, which), gpt.tokenizer, kind, gpt.config.block_size)
        found = [(*targets_of(each), predictions_of(gpt)(each)) for each in docs.portions]
        rows[which] = (
            np.concatenate([targets[counts] for targets, counts, _ in found]),
            np.concatenate([row[counts] for _, counts, row in found]),
        )
    best = min(TEMPERATURES, key=lambda t: tempered(*rows["validation"], t)[0])
    (loss, error), (loss_then, error_then) = (tempered(*rows["test"], t) for t in (1.0, best))
    return Error(loss, error, float(best), error_then, loss_then)


def tempered(targets, rows, temperature: float) -> tuple[float, float]:
    """Return loss and calibration error at a temperature."""
    logits = np.log(np.maximum(rows, 1e-30)) / temperature
    rows = np.exp(logits - logits.max(1, keepdims=True))
    rows /= rows.sum(1, keepdims=True)
    chosen = rows[np.arange(len(rows)), targets]
    pairs = zip(rows.max(1).tolist(), (rows.argmax(1) == targets).tolist(), strict=True)
    return float(-np.log(np.maximum(chosen, 1e-30)).mean()), Calibration.from_pairs(pairs).error


def spread(numbers: list[float]) -> str:
    if not numbers:
        return ""
    return f"{fmean(numbers):.3f}" + (f" ± {stdev(numbers):.3f}" if len(numbers) > 1 else "")


def ladders_table(kept: dict) -> str:
    runs = {text: runs_of(kept, f"ladder, {text}") for text in TEXTS}
    every = {text: [each["losses"] for each in found] for text, found in runs.items()}
    names = dict.fromkeys(name for found in every.values() for each in found for name in each)
    lines = [
        [
            name,
            *(spread([each[name] for each in found if name in each]) for found in every.values()),
        ]
        for name in names
    ]
    return headed(["nats per character", *TEXTS], lines, kept)


def karpathy_table(kept: dict) -> str:
    found = runs_of(kept, "karpathy")
    lines = [
        [name, *(spread([each[what][name] for each in found]) for what in ("losses", "seconds"))]
        for name in found[0]["losses"]
    ]
    return headed(["", "nats per character", "seconds"], lines, kept)


def calibration_table(kept: dict) -> str:
    lines = []
    for name in MODELS:
        found = runs_of(kept, f"calibration, {name}")
        mean = {key: fmean(each[key] for each in found) for key in vars(Error(0, 0, 0, 0, 0))}
        errors = [f"{mean[key]:.1%}" for key in ("error", "error_then")]
        loss = spread([each["loss"] for each in found])
        lines.append([name, loss, errors[0], f"{mean['temperature']:.2f}", errors[1]])
    return headed(["", "nats per token", "error", "temperature", "error then"], lines, kept)


TABLES = {
    "ladders": ladders_table,
    "ladder_karpathy": karpathy_table,
    "calibration": calibration_table,
}

if __name__ == "__main__":
    main()
