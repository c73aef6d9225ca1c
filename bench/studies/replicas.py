"""Does it pay to train one model in rounds on several ordinary computers (DiLoCo)?

No: eight are worth 1.7 to 3.8 without the cost of the exchange, and 0.6 to 2.4 on a network of
1 Gbit/s (docs/decisions/0046-no-replicas.md).

    uv run python bench/study.py replicas [--only names] [--seeds 3] [--core 1]

DiLoCo (Douillard et al. 2023, arXiv:2311.08105): each replica takes H steps from the common weights
on its own share of the documents; then the mean change of the replicas is one step of an outer
optimizer, SGD with Nesterov momentum. With Muon inside it is MuLoCo (arXiv:2505.23725). The
replicas take turns in this process, and keep their optimizer states.

A replica trains the model of `--preset names-10s` for 650 steps of 64 names, so that eight read as
many as the preset does, or that of `text-60s` for 400 steps of four windows. Replicas are compared
with one computer in the same time and with one that takes two, four and eight times as many steps;
with the large batch that computers on a fast network could share; and with models that are trained
apart. "1 / 0.5" are the rate and the momentum of the outer optimizer; "worth" is how many times as
many steps one computer needs for the same loss. The outer optimizer was chosen with Muon on the
validation part of names, with a seed of its own; the losses are those of the test part.
Forty minutes on one core of an AMD EPYC (Zen 5).
"""

import random
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from math import log2
from statistics import fmean
from time import process_time

import numpy as np
from harness import FIRST_SEED, Run, seeds
from numpy.typing import NDArray
from tables import headed, losses, mean_and_sd, runs_of

from microgpt.amounts import count
from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.chunked_dataset import scored
from microgpt.data.documents import bundled, load_stream, load_text
from microgpt.data.split import Split, split, split_stream
from microgpt.data.token_dataset import TokenDataset
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.training.trainer import CompiledEngine
from microgpt.engine.weights import initial_weights
from microgpt.evaluation.held_out_loss import EvaluationSet
from microgpt.model_config import count_params
from microgpt.training.engines import prepare_engine
from microgpt.training.options import TrainOptions
from microgpt.training.planning import TrainingJob, plan_training
from microgpt.training.presets import PRESETS, PresetName

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Outer:
    """The exchange of the replicas: every `interval` steps, with SGD and Nesterov momentum."""

    interval: int = 30  # H
    lr: float = 1.0
    momentum: float = 0.5

    def __str__(self) -> str:
        return f"H {self.interval}, {self.lr:g} / {self.momentum:g}"


TUNED, SELDOM, PUBLISHED = Outer(), Outer(100), Outer(30, 0.7, 0.9)  # the last is DiLoCo's
TUNING_SEED = FIRST_SEED - 1
OPTIMIZERS = ("muon", "adamw")
N = 8  # replicas, at most
# Arrays of float32 per weight that a replica gets and returns, and bytes per second of the network:
# a killed worker loses nothing if the two moments of Adam travel with the weights.
CONNECTIONS = {
    "weights alone, 1 Gbit/s": (1, 1e9 / 8),
    "with moments, 1 Gbit/s": (3, 1e9 / 8),
    "with moments, 100 Mbit/s": (3, 1e8 / 8),
}


@dataclass(frozen=True)
class Text:
    """A text, the model of a preset, and what one computer trains on."""

    load: Callable[[], Split]
    model: ModelConfig
    config: TrainConfig


@dataclass(frozen=True)
class Way:
    """What one computer or several do."""

    replicas: int = 1
    outer: Outer | None = None
    longer: int = 1  # how many times as many steps
    larger: int = 1  # how many times as large a batch
    rate: float = 1.0  # multiple of the learning rate of the preset

    def __str__(self) -> str:
        if self.outer:
            longer = f", {self.longer} × the steps" if self.longer > 1 else ""
            what = f"{count(self.replicas, 'replica')}, {self.outer}{longer}"
        elif self.replicas > 1:
            what = f"{self.replicas} models, mean of their predictions"
        elif self.larger > 1:
            what = f"{self.larger} × the batch"
        else:
            what = f"{self.longer} × the steps"
        return what if self.rate == 1 else f"{what}, {self.rate:g} × the rate"

    @property
    def is_extreme(self) -> bool:
        """Whether this is one computer, or as many as possible."""
        return {self.replicas, self.longer, self.larger} <= {1, N}

    def config(self, config: TrainConfig) -> TrainConfig:
        """Return the settings of each replica."""
        return replace(
            config,
            steps=config.steps * self.longer,
            warmup_steps=config.warmup_steps * self.longer,
            batch_size=config.batch_size * self.larger,
            lr=config.lr and config.lr * self.rate,
        )


ALONE = Way()
LONGER = [Way(longer=n) for n in (1, 2, 4, 8, 16)]
EXCHANGES = [
    *(Way(n, outer) for outer in (TUNED, SELDOM) for n in (1, 4, N)), Way(N, PUBLISHED),
]  # fmt: skip
FAST = [Way(larger=4), Way(larger=N)]  # a network on which each step is shared
APART = Way(N)
LONG = [Way(n, outer, longer=4) for n, outer in ((4, SELDOM), (N, SELDOM), (N, TUNED))]
WAYS = [*LONGER, *EXCHANGES, *FAST]
TUNING = [
    *(Way(rate=rate) for rate in (1.0, 0.5, 2.0)),
    *(Way(N, outer) for outer in (TUNED, PUBLISHED, Outer(30, 1.0, 0.0))),
    *(Way(N, TUNED, rate=rate) for rate in (0.5, 2.0)),
]  # fmt: skip


def one_computer(name: PresetName, batch_size: int, steps: int) -> TrainConfig:
    """Return the settings of a preset for smaller batches and fewer steps."""
    config = PRESETS[name].config
    warmup_steps = config.warmup_steps * steps // config.steps
    changes = {"batch_size": batch_size, "steps": steps, "warmup_steps": warmup_steps}
    return replace(config, average_tail=0.0, **changes)


@cache
def names() -> Split:
    """Return the names, a tenth held out for validation and another for the test."""
    return split(load_text(bundled("names.txt")), validation=0.1, test=0.1)


@cache
def shakespeare() -> Split:
    """Return Shakespeare with a tenth held out for validation and another for the test."""
    text = load_stream(bundled("shakespeare.txt"))
    return split_stream(text, validation=0.1, test=0.1, holdout="spread")


TEXTS = {
    "names": Text(names, PRESETS["names-10s"].model, one_computer("names-10s", 64, 650)),
    "Shakespeare": Text(
        shakespeare,
        PRESETS["text-60s"].model,
        replace(one_computer("text-60s", 4, 400), text="stream"),
    ),
}
OPTIONS = {"only": (*TEXTS,)}


@dataclass
class ReplicaTraining:
    """The losses after a training run, in nats per token, and its cost."""

    val_loss: float
    test_loss: float
    params: int
    cpu_step_s: float  # processor seconds per step of one replica

    def __str__(self) -> str:
        step_ms = self.cpu_step_s * 1e3
        return f"A {self.val_loss:.4f}, B {self.test_loss:.4f}, {step_ms:.1f} ms per step"


def runs(options: Namespace) -> Iterator[Run]:
    """Yield the trainings of each text, then those with which the rates were chosen."""
    prepare_engine("compiled", uses=("training", "evaluation"))
    all_seeds = seeds(options)
    lots = [("", seed, "muon", WAYS) for seed in all_seeds]
    lots += [("", seed, "muon", [APART, *LONG]) for seed in all_seeds]
    lots += [("tuning, ", TUNING_SEED, "muon", TUNING)]
    lots += [("", seed, "adamw", [way for way in WAYS if way.is_extreme]) for seed in all_seeds]
    for part, seed, optimizer, ways in lots:
        for way in ways:
            for name, text in TEXTS.items():
                alone = replace(text.config, seed=seed, optimizer=optimizer)
                measure = partial(measured, parts=text.load(), way=way)
                label = f"{part}{optimizer}, {way}, {name}"
                yield Run(label, text.model, way.config(alone), measure)


def measured(
    model: ModelConfig, config: TrainConfig, label: str, *, parts: Split, way: Way
) -> ReplicaTraining:
    """Train in one of the ways; return the losses on both held-out parts."""
    started = process_time()
    if way == APART:
        configs = [replace(config, seed=config.seed + 1000 * i) for i in range(N)]
        jobs = [plan_training(parts, TrainOptions(), model=model, config=own) for own in configs]
        results = [trained(replicas_of(job, job.plan.config, 1), None) for job in jobs]
    else:
        whole = replace(config, batch_size=config.batch_size * way.replicas)
        jobs = [plan_training(parts, TrainOptions(), model=model, config=whole)]
        results = [trained(replicas_of(jobs[0], config, way.replicas), way.outer)]
    seconds = process_time() - started
    plan = jobs[0].plan
    nll = partial(mean_nll, [CompiledModel(plan.model, weights, plan.dtype) for weights in results])
    val_loss, test_loss = (
        EvaluationSet(
            scored(docs, plan.tokenizer, model.block_size, loss_on="all", text=config.text)
        ).evaluate(nll)
        for docs in (parts.validation, parts.test)
    )
    assert val_loss
    assert test_loss
    cpu_step_s = seconds / config.steps / way.replicas
    return ReplicaTraining(val_loss.loss, test_loss.loss, count_params(plan.model), cpu_step_s)


def mean_nll(models: list[CompiledModel], docs: TokenDataset) -> float:
    """Return the negative log-likelihood of documents, with the mean predictions of models."""
    if len(models) == 1:
        return models[0].nll(docs)
    n_tokens, firsts = len(docs.tokens), docs.starts[:-1]
    means = np.zeros((n_tokens - len(docs), models[0].config.vocab_size), np.float32)
    for model in models:
        model.add_probabilities(docs, means, share=1 / len(models))
    counts = np.frombuffer(docs.mask or bytearray(b"\1" * n_tokens), np.uint8)
    targets, counts = (np.delete(each, firsts) for each in (np.array(docs.tokens), counts))
    found = means[np.arange(len(targets)), targets].astype(np.float64)
    return -float(np.log(found[counts == 1]).sum())


def replicas_of(job: TrainingJob, config: TrainConfig, n: int) -> list[CompiledEngine]:
    """Return the replicas, each with every nth document in the order of the whole training run."""
    plan, rng = job.plan, random.Random(config.seed)
    docs = job.dataset(rng, threads=1)
    weights = initial_weights(plan.model, rng)
    engines = []
    for i in range(n):
        share = TokenDataset(docs[j] for j in range(i, len(docs), n))
        own = replace(config, seed=config.seed + 1000 * i)  # for dropout
        engine = CompiledEngine(plan.model, own, share, dtype=plan.dtype)
        engine.set_weights(weights)
        engines.append(engine)
    return engines


def trained(engines: list[CompiledEngine], outer: Outer | None) -> Array:
    """Train all replicas, with exchanges if there is an outer optimizer; return the weights."""
    steps = engines[0].config.steps
    if not outer:
        take_steps(engines[0], steps)
        return engines[0].flat_weights()
    weights = engines[0].flat_weights()
    momentum = np.zeros_like(weights)
    for start in range(0, steps, outer.interval):
        end, change = min(start + outer.interval, steps), np.zeros_like(weights)
        for engine in engines:
            if start:
                _, adam_m, adam_v = engine.numbers()
                engine.resume(start, weights, adam_m, adam_v)
            take_steps(engine, end)
            change += (weights - engine.flat_weights()) / np.float32(len(engines))
        # PyTorch's SGD with nesterov=True, as in DiLoCo (algorithm 1, line 14)
        momentum = np.float32(outer.momentum) * momentum + change
        weights = weights - np.float32(outer.lr) * (change + np.float32(outer.momentum) * momentum)
    return weights


def take_steps(engine: CompiledEngine, until: int) -> None:
    """Train up to a step."""
    while engine.n_steps < until:
        engine.run(until)


def replicas_table(kept: dict, *_: dict) -> str:
    """Return a table of the losses on the test part, and of how many computers a way is worth."""
    lines = []
    for way in [*WAYS, APART, *LONG]:
        cells = []
        for text in TEXTS:
            found = [losses(kept, f"{each}, {way}, {text}").values() for each in OPTIMIZERS]
            cells.append(mean_and_sd(found[0]))
            cells.append(worth_text(kept, way, text) if found[0] and way not in LONGER else "")
            cells.append(mean_and_sd(found[1]))
        lines.append([str(way), *cells])
    columns = ("Muon", "worth", "AdamW")
    return headed(["", *(f"{text}, {each}" for text in TEXTS for each in columns)], lines, kept)


def worth_text(kept: dict, way: Way, text: str) -> str:
    """Return `worth` as text, with a mark if no measured number of steps has so low a loss."""
    lowest = min(mean_loss(kept, text, each) for each in measured_lengths(kept, text))
    is_beyond = mean_loss(kept, text, way) < lowest
    return f"{'> ' if is_beyond else ''}{worth(kept, way, text):.1f}"


def worth(kept: dict, way: Way, text: str) -> float:
    """Return how many computers a way is worth: the steps that one needs, per step of the way.

    The steps are those with the same mean loss with Muon. Between measured numbers of steps, the
    loss is linear in their logarithm; below the lowest, they are the most that were measured.
    """
    mean = partial(mean_loss, kept, text)
    rising = sorted(measured_lengths(kept, text), key=mean)
    steps = np.interp(mean(way), [*map(mean, rising)], [log2(each.longer) for each in rising])
    return float(2**steps) / way.longer


def measured_lengths(kept: dict, text: str) -> list[Way]:
    """Return the trainings of one computer that have results."""
    return [way for way in LONGER if losses(kept, f"muon, {way}, {text}")]


def mean_loss(kept: dict, text: str, way: Way) -> float:
    """Return the mean loss of a way with Muon."""
    return fmean(losses(kept, f"muon, {way}, {text}").values())


def exchanges_table(kept: dict, *_: dict) -> str:
    """Return a table of the cost of exchanges, and of what N computers are worth with it."""
    lines = []
    for text in TEXTS:
        for way in [Way(N, TUNED), Way(N, SELDOM), *LONG[1:]]:
            if not way.outer or not losses(kept, f"muon, {way}, {text}"):
                continue
            found = runs_of(kept, f"muon, {ALONE}, {text}")
            compute_s = way.outer.interval * fmean(each["cpu_step_s"] for each in found)
            n_bytes = N * 2 * 4 * found[0]["params"]  # to all replicas and back
            free = worth(kept, way, text)
            rests = [
                compute_s / (compute_s + n_arrays * n_bytes / speed)
                for n_arrays, speed in CONNECTIONS.values()
            ]
            lines.append([
                f"{text}, {str(way).partition(', ')[2]}",
                f"{compute_s * 1e3:.0f} ms",
                f"{n_bytes / 1e6:.1f} MB",
                *(f"{free * rest:.1f}" for rest in (1, *rests)),
            ])  # fmt: skip
    head = ["", "computation", "weights", "no exchange", *CONNECTIONS]
    return headed(head, lines, kept)


TABLES = {"replicas": replicas_table, "replica_exchanges": exchanges_table}
