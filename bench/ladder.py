"""Measure ladders of four texts, an Elman network beside Karpathy's GPT, and calibration.

A ladder is the result of `microgpt ladder`. An Elman network also takes the operations of
Karpathy's GPT with 1,000 and 10,000 steps on names. The expected calibration error of models of
names and of Shakespeare is measured on test documents, at temperature 1 and at the temperature with
the lowest validation loss. Prints tables, and writes the results to bench/results.

    uv run python bench/ladder.py [--only names] [--seeds 3]

Existing results are reused unless --again is given. 20 minutes on one core of an AMD EPYC (Zen 5).
"""

import tempfile
from functools import partial
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
from harness import TRAINING, command, headed, mean_and_sd, parsed, runs_of, train_missing
from texts import text_of

import microgpt
from microgpt import InferenceGpt, ModelConfig
from microgpt_cli.calibration import Calibration
from microgpt_cli.counting import loss_of, targets_of, to_score
from microgpt_cli.elman import train_elman
from microgpt_cli.ladder import operations_of, predictions_of

TEXTS = ("names", "shakespeare", "identifiers", "technical prose")
BUDGET = 1e11  # operations of the first GPT of a ladder
STEPS = (1000, 10_000)  # steps of Karpathy's GPT beside an Elman network
# Models whose calibration is measured: a text, and the options of their training.
MODELS = {
    "names, 1,000 steps of Karpathy's": ("names", {"--steps": 1000}),
    "names, 10,000 steps of Karpathy's": ("names", {"--steps": 10_000}),
    "names, --budget 1e12": ("names", {"--budget": 1e12}),
    "shakespeare, --budget 1e12": ("shakespeare", {"--budget": 1e12}),
}
TEMPERATURES = np.arange(0.8, 1.31, 0.02)


def main() -> None:
    """Run the missing trainings and print the tables."""
    measures = {f"ladder, {name}": partial(climbed, text=name) for name in TEXTS}
    measures["karpathy"] = beside_karpathys
    measures |= {f"calibration, {name}": partial(calibrated, name=name) for name in MODELS}
    options = parsed(__doc__, only=(*measures, *TEXTS, *MODELS), **TRAINING)
    kept = train_missing("ladder", measures, options)
    print(*(table(kept) for table in TABLES.values()), sep="\n\n")


def climbed(seed: int, *, text: str) -> dict[str, Any]:
    """Return the test losses of a ladder, by the name of the model."""
    found = command("ladder", "--data", text_of(text), "--budget", BUDGET, "--seed", seed)
    losses: dict[str, float] = {}
    for rung in found["rungs"]:
        name = rung["name"].partition(" (n")[0].partition(",")[0]
        losses[name + ", more" * (name in losses)] = rung["loss"]
    return {"losses": losses}


def split_of(text: str) -> microgpt.Split:
    """Return the training, validation and test documents of a text."""
    docs = microgpt.load_documents(text_of(text), microgpt.ReadOptions())
    return microgpt.hold_out(docs, {"budget": 1e12})


def beside_karpathys(seed: int) -> dict[str, Any]:
    """Return the losses and seconds of Karpathy's GPT and an Elman network of equal operations."""
    microgpt.prepare_engine("compiled", uses=("training", "evaluation"))
    losses, seconds = dict[str, float](), dict[str, float]()
    for steps in STEPS:
        given = {"steps": steps, "seed": seed}
        job = microgpt.plan_training(split_of("names"), given, model=ModelConfig())
        test = to_score(job.sets.test, job.plan.tokenizer, "lines", job.plan.model.block_size)
        started = perf_counter()
        losses[f"GPT, {steps:,} steps"] = microgpt.train_job(job).test_loss
        trained = perf_counter()
        network = train_elman(job.chunks, operations_of(job), seed)
        seconds[f"Elman, {steps:,} steps"] = perf_counter() - trained
        losses[f"Elman, {steps:,} steps"] = loss_of(network.probabilities, test)
        seconds[f"GPT, {steps:,} steps"] = trained - started
    return {"losses": losses, "seconds": seconds}


def calibrated(seed: int, *, name: str) -> dict[str, float]:
    """Train a model and return its calibration, also at the best temperature."""
    text, given = MODELS[name]
    sets = split_of(text)
    words = ["--data", text_of(text), "--seed", seed, *sum(given.items(), ())]
    shares = ("--val-fraction", sets.val_fraction, "--test-fraction", sets.test_fraction)
    with tempfile.TemporaryDirectory() as folder:
        command("train", *words, *shares, "--model", folder)
        gpt = InferenceGpt(saved := microgpt.load(folder))
    rows, size = {}, gpt.config.block_size
    for which in ("validation", "test"):
        read = to_score(getattr(sets, which), gpt.tokenizer, saved.config.text, size)
        found = [(*targets_of(each), predictions_of(gpt)(each)) for each in read.portions]
        rows[which] = (
            np.concatenate([targets[counts] for targets, counts, _ in found]),
            np.concatenate([row[counts] for _, counts, row in found]),
        )
    best = min(TEMPERATURES, key=lambda t: tempered(*rows["validation"], t)[0])
    (loss, error), (loss_then, error_then) = (tempered(*rows["test"], t) for t in (1.0, best))
    then = {"error_then": error_then, "loss_then": loss_then}
    return {"loss": loss, "error": error, "temperature": float(best), **then}


def tempered(targets: np.ndarray, rows: np.ndarray, temperature: float) -> tuple[float, float]:
    """Return loss and calibration error at a temperature."""
    logits = np.log(np.maximum(rows, 1e-30)) / temperature
    rows = np.exp(logits - logits.max(1, keepdims=True))
    rows /= rows.sum(1, keepdims=True)
    chosen = rows[np.arange(len(rows)), targets]
    pairs = zip(rows.max(1).tolist(), (rows.argmax(1) == targets).tolist(), strict=True)
    return float(-np.log(np.maximum(chosen, 1e-30)).mean()), Calibration.from_pairs(pairs).error


def ladders_table(kept: dict[str, Any]) -> str:
    """Return a table of the losses, with a column per text."""
    found = [[each["losses"] for each in runs_of(kept, f"ladder, {text}")] for text in TEXTS]
    names = dict.fromkeys(name for runs in found for losses in runs for name in losses)
    lines = [
        [name, *(mean_and_sd([each[name] for each in runs if name in each], 3) for runs in found)]
        for name in names
    ]
    return headed(["nats per character", *TEXTS], lines, kept)


def karpathy_table(kept: dict[str, Any]) -> str:
    """Return a table of the Elman network beside Karpathy's GPT."""
    found, lines = runs_of(kept, "karpathy"), []
    for name in found[0]["losses"] if found else ():
        figures = ([run[what][name] for run in found] for what in ("losses", "seconds"))
        lines.append([name, *(mean_and_sd(each, 3) for each in figures)])
    return headed(["", "nats per character", "seconds"], lines, kept)


def calibration_table(kept: dict[str, Any]) -> str:
    """Return a table of the calibration errors."""
    lines = []
    for name in MODELS:
        if not (found := runs_of(kept, f"calibration, {name}")):
            continue
        error, temperature, error_then = (
            fmean(each[key] for each in found) for key in ("error", "temperature", "error_then")
        )
        loss = mean_and_sd([each["loss"] for each in found], 3)
        lines.append([name, loss, f"{error:.1%}", f"{temperature:.2f}", f"{error_then:.1%}"])
    return headed(["", "nats per token", "error", "temperature", "error then"], lines, kept)


TABLES = {
    "ladders": ladders_table,
    "ladder_karpathy": karpathy_table,
    "calibration": calibration_table,
}

if __name__ == "__main__":
    main()
