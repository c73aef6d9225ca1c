"""Which learning rate and how many steps does fine-tuning need?

No rate suits all data; the one that trials choose is within 3 % of the best of three
(docs/measurements/choice.md).

    uv run python bench/study.py fine_tuning [--seeds 2] [--core 1] [--pair NAME] [--budget 4e11]

A parent is trained with the rule and 2e12 operations. `train --from --budget` continues with other
data: with the learning rate that its trials choose, and with each rate that they try. The exam is
text of the same kind that neither model has read. With `--grid`, several rates, numbers of passes
over the data and dropout rates are tried instead. An hour on one core.
"""

import re
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import fmean
from zoneinfo import available_timezones

from harness import ROOT, Run, seeds
from studies.texts import write
from tables import headed, mean_and_sd, runs_of

from microgpt.config import ModelConfig, TextKind, TrainConfig
from microgpt.data.documents import load_conversations, load_lines_or_stream
from microgpt.data.split import Split, split, split_stream
from microgpt.data.statistics import measure
from microgpt.data.tokenizer import Document
from microgpt.inference import InferenceGpt
from microgpt.state import TrainedModel
from microgpt.storage.model_directory import load, save
from microgpt.training.choice import LR, LR_POWER, RATIO, TOKENS, TOKENS_POWER, useful_operations
from microgpt.training.engines import prepare_engine
from microgpt.training.finetune import extended_tokenizer
from microgpt.training.options import TrainOptions
from microgpt.training.planning import TrainingJob, plan_training
from microgpt.training.train import train
from microgpt.training.tuning import with_tried_rate

BUDGET = 2e12  # operations of a parent
BUDGETS = {"4e12": 4e12, "4e11": 4e11}  # of a child: 60 and 6 s on one core of an AMD EPYC (Zen 4)
MODELS = Path(tempfile.gettempdir(), "microgpt-fine-tuning")
OPTIONS = {"pair": str, "grid": False, "budget": "4e12"}
Documents = list[Document] | str


@dataclass(frozen=True)
class Pair:
    """The data of a parent and of its child; the exam is a part of the child's data."""

    of_parent: Callable[[], Documents]
    of_child: Callable[[], Documents]
    size: int  # number of documents, or of characters, of the child


@dataclass
class Losses:
    """Losses in nats per token."""

    val_loss: float
    exam: float
    parent: float  # held-out loss on the parent's data
    best_step: int
    steps: int
    lr: float

    def __str__(self) -> str:
        step = f"step {self.best_step} of {self.steps}"
        return f"exam {self.exam:.4f}, parent's data {self.parent:.4f}, {step}, rate {self.lr:g}"


def _text(name: str) -> Documents:
    return load_lines_or_stream(write(name))


def _names(*, has_z: bool) -> Documents:
    names = load_lines_or_stream(ROOT / "data" / "names.txt")
    return [name for name in names if name.startswith("z") == has_z]


def _own_identifiers() -> Documents:
    """Return the identifiers of microgpt's source that are not those of the standard library."""
    folders = ("libs", "apps", "apis", "evolution")
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("src/**/*.py"))
    found = (re.findall(r"[A-Za-z_]\w{2,}", path.read_text("utf-8")) for path in paths)
    return sorted({name for names in found for name in names}.difference(_text("identifiers")))


def _chat(name: str) -> Documents:
    return load_conversations(ROOT / "data" / f"{name}.jsonl")


_MOST, _Z = partial(_names, has_z=False), partial(_names, has_z=True)
_IDENTIFIERS, _PLAYS = partial(_text, "identifiers"), partial(_text, "shakespeare")
_PROSE = partial(_text, "technical prose")
PAIRS = {
    "names, 60 with z": Pair(_MOST, _Z, 60),
    "names, with z": Pair(_MOST, _Z, 600),
    "names, time zones": Pair(_MOST, lambda: sorted(available_timezones()), 400),
    "identifiers, 100 of ours": Pair(_IDENTIFIERS, _own_identifiers, 100),
    "identifiers, ours": Pair(_IDENTIFIERS, _own_identifiers, 4000),
    "chat, fresh": Pair(partial(_chat, "chat"), partial(_chat, "chat_fresh"), 400),
    "shakespeare, prose": Pair(_PLAYS, _PROSE, 60_000),
    "shakespeare, much prose": Pair(_PLAYS, _PROSE, 400_000),
}
KINDS = ("scratch", "1/16", "1/4", "1/1", "chosen")
IN_LITTLE_TIME = ("names, with z", "identifiers, ours", *list(PAIRS)[-2:])  # shown in the table
GRID = [
    *((rate, passes, 0.1) for passes in (3, 10, 30) for rate in (0.05, 0.15, 0.4, 1.0)),
    *((rate, 10, dropout) for dropout in (0.0, 0.2) for rate in (0.15, 0.4)),
]


def runs(options: Namespace) -> Iterator[Run]:
    """Yield the training runs of each pair and seed."""
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    for name in [options.pair] if options.pair else PAIRS:
        for seed in seeds(options, 2):
            yield from (_grid if options.grid else _compared)(name, seed, options.budget)


def _compared(name: str, seed: int, budget: str) -> Iterator[Run]:
    """Yield a run from scratch, one with the rate that is chosen, and one with each rate."""
    job = planned(name, budget)
    model, config = job.plan.model, replace(job.plan.config, seed=seed)
    label = f"{name}, {budget}"
    yield Run(f"{label}: chosen", model, config, partial(chosen, name, budget))
    for i in range(3):
        at = replace(config, lr=float(f"{(config.lr or 0) / RATIO**i:.2g}"))
        yield Run(f"{label}: 1/{RATIO**i}", model, at, partial(tuned, name))
    alone = plan_training(data_of(name)[1], TrainOptions(budget=BUDGETS[budget], single=True)).plan
    at = replace(alone.config, seed=seed)
    yield Run(f"{label}: scratch", alone.model, at, partial(from_scratch, name, budget))


def _grid(name: str, seed: int, budget: str) -> Iterator[Run]:
    """Yield training runs with several rates, numbers of passes and dropouts."""
    parent, parts, _ = data_of(name)
    text: TextKind = "stream" if parts.holdout else "lines"
    sizes = measure(parts.train, extended_tokenizer(parent, parts.docs), text)
    useful, length = useful_operations(sizes), sizes.chunk_length(parent.model.block_size)
    batch = max(1, round(TOKENS * (useful / 1e12) ** TOKENS_POWER / length))
    for rate, passes, dropout in GRID:
        steps = max(20, round(passes * sizes.n_tokens / (batch * length)))
        config = TrainConfig(
            steps=steps, batch_size=batch, optimizer="muon", dropout=dropout, seed=seed, text=text,
            lr=float(f"{rate * LR * (useful / 1e12) ** LR_POWER:.2g}"),
            warmup_steps=steps // 30, weight_decay=0.05,
        )  # fmt: skip
        label = f"{name}: rate {rate:g}, {passes} passes, dropout {dropout:g}"
        yield Run(label, parent.model, config, partial(tuned, name))


@cache
def data_of(name: str) -> tuple[TrainedModel, Split, Split]:
    """Return the parent, the data of the child with its exam, and the data of the parent."""
    pair = PAIRS[name]
    docs = pair.of_child()
    if isinstance(docs, str):
        parts = split_stream(docs[: pair.size], validation=0.1, test=0.1, gap=256)
        exam = list(parts.test)
    else:
        apart = split(docs, test=0.2)
        exam, known = list(apart.test), list(apart.train)
        known = known[:: max(1, len(known) // pair.size)][: pair.size]
        parts = split(known, validation=0.1)
    directory = MODELS / f"{name.partition(',')[0]}-{BUDGET:g}"
    job = plan_training(pair.of_parent(), TrainOptions(budget=BUDGET, single=True))
    if not directory.exists():
        plan = job.plan
        result = train(job.parts, model=plan.model, config=plan.config, tokenizer=plan.tokenizer)
        save(result, directory)
    docs = (*parts.docs, *exam)  # a model from scratch needs the characters of the exam
    return load(directory), replace(parts, docs=docs, test=tuple(exam)), job.parts


@cache
def planned(name: str, budget: str) -> TrainingJob:
    """Return the fine-tuning that `train --from --budget` plans."""
    parent, parts, _ = data_of(name)
    return plan_training(parts, TrainOptions(budget=BUDGETS[budget]), parent=parent)


def chosen(name: str, budget: str, model: ModelConfig, config: TrainConfig, label: str) -> Losses:
    """Fine-tune the parent with the learning rate that the trials choose."""
    job = planned(name, budget)
    job = replace(job, plan=replace(job.plan, config=config))
    return tuned(name, model, with_tried_rate(job, tell=print).plan.config, label)


def tuned(name: str, model: ModelConfig, config: TrainConfig, label: str) -> Losses:
    """Fine-tune the parent and return the losses."""
    parent, parts, of_parent = data_of(name)
    result = train(parts, config=config, parent=parent)
    return losses(result, of_parent)


def from_scratch(
    name: str, budget: str, model: ModelConfig, config: TrainConfig, label: str
) -> Losses:
    """Train a model of the child's data alone."""
    parts = data_of(name)[1]
    plan = plan_training(parts, TrainOptions(budget=BUDGETS[budget], single=True)).plan
    return losses(train(parts, model=model, config=config, tokenizer=plan.tokenizer))


def losses(result, of_parent: Split | None = None) -> Losses:
    """Return the losses of a model; the loss on the parent's data is 0 if there are none."""
    forgotten = 0.0
    if of_parent:
        gpt, docs = InferenceGpt(result), of_parent.validation
        forgotten = gpt.evaluate(docs, text="stream" if of_parent.holdout else "lines").loss
    best, config = result.state.best, result.config
    return Losses(result.val_loss, result.test_loss, forgotten, best.step, config.steps, config.lr)


def fine_tuning_table(kept: dict, *_: dict) -> str:
    """Return a table of the exam losses, with those on the parent's data in parentheses."""
    lines = []
    for budget in BUDGETS:
        for name in PAIRS if budget == "4e12" else IN_LITTLE_TIME:
            parent, child = name.split(", ", 1)
            cells = [_cell(kept, f"{name}, {budget}: {kind}") for kind in KINDS]
            if parent == "shakespeare":  # a model from scratch has other tokens
                cells[0] = ""
            lines.append([f"{parent} → {child}", budget, *cells])
    head = ["parent → child", "operations", "from scratch", "rate/16", "rate/4", "rate", "chosen"]
    return headed(head, lines, kept)


def _cell(kept: dict, label: str) -> str:
    found = runs_of(kept, label)
    known = [each["parent"] for each in found if each["parent"]]
    return mean_and_sd(each["exam"] for each in found) + (f" ({fmean(known):.2f})" if known else "")


TABLES = {"fine_tuning": fine_tuning_table}
