"""Training runs for charts: names, settings and loss curves."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

from microgpt import (
    HELD_OUT,
    HISTORY,
    MAX_META_BYTES,
    META,
    STATE_DESCRIPTION,
    CheckpointError,
    HistoryPoint,
    Meta,
    committed_path,
    mark,
    printable,
    read_committed,
    read_history,
    read_meta,
    recorded_share,
)

MAX_SMOOTHED = 100  # maximum number of points of a smoothed curve; more would not be visible
WIDEST = 1 / 15  # steps on each side that a mean covers at most, as a fraction of the run
WIDTH_AT_FIRST = 1 / 4  # the same, as a fraction of the number of steps so far

# Keys of meta.json that are results rather than settings.
_OUTCOMES = {"steps", "train_loss", "val_loss", "test_loss", "best_step", "seconds"}
_SIZES = ("n_embd", "n_head", "n_layer", "block_size")

Curve = Sequence[tuple[int, float]]  # (step, loss) pairs


@dataclass(frozen=True)
class TrainingRun:
    """A training run with its settings and loss history."""

    label: str  # name of the model directory; its path if two have the same name
    points: Sequence[HistoryPoint]  # at least one point
    settings: Mapping[str, object]  # training settings by name; empty until meta.json is written
    test_loss: float | None  # test loss in nats per token; None if not measured
    val_mark: str = ""  # whether the held-out loss is of contaminated documents
    test_mark: str = ""

    @property
    def training(self) -> Curve:
        """The training loss by step."""
        return [(point.step, point.loss) for point in self.points]

    @cached_property
    def smoothed(self) -> Curve:
        """Means of the training loss around some steps, over fewer steps at the start.

        The loss falls fastest at the start, where means over many steps would be too high.
        """
        every = math.ceil(len(self.points) / MAX_SMOOTHED)
        widest = self.points[-1].step * WIDEST
        curve = []
        for step, _ in self.training[::-every][::-1]:
            width = min(widest, step * WIDTH_AT_FIRST)
            near = [loss for other, loss in self.training if abs(other - step) <= width]
            curve.append((step, fmean(near)))
        return curve

    @property
    def held_out(self) -> Curve:
        """The held-out loss by step."""
        return [(p.step, p.val_loss) for p in self.points if p.val_loss is not None]

    @property
    def best(self) -> tuple[int, float] | None:
        """The step and value of the lowest held-out loss; the first step wins ties."""
        return min(self.held_out, key=lambda measured: measured[1], default=None)


def read_training_runs(directories: Sequence[Path]) -> list[TrainingRun]:
    """Read the training runs of model directories, ignoring duplicates.

    Raises:
        CheckpointError: a history is missing, damaged or empty, or meta.json is damaged.
    """
    paths = [*{os.path.realpath(path): path for path in directories}.values()]
    names = [os.path.basename(os.path.abspath(path)) for path in paths]
    labels = names if len({*names}) == len(names) else map(str, paths)
    return [
        _read_run(path, printable(label, len(label)))
        for path, label in zip(paths, labels, strict=True)
    ]


def differing(runs: Sequence[TrainingRun]) -> list[str]:
    """Return the names of the settings that differ between runs."""
    known = [run.settings for run in runs if run.settings]
    names = dict.fromkeys(name for settings in known for name in settings)
    return [name for name in names if len({repr(settings.get(name)) for settings in known}) > 1]


def _read_run(directory: Path, label: str) -> TrainingRun:
    points = read_history(directory)
    if not points:
        raise CheckpointError(
            f"{directory / HISTORY} is empty: training has just started; try again later"
        )

    is_there = os.path.lexists(committed_path(directory, META))  # not before the end of a run
    meta = read_meta(directory) if is_there else None
    if meta is None or meta.training.get("steps") != points[-1].step:  # meta.json is old or missing
        return TrainingRun(label, points, settings={}, test_loss=None, val_mark=_mark(directory))
    return described(label, points, meta)


def _mark(directory: Path) -> str:
    """Return the mark of the held-out losses of an unfinished training run."""
    with suppress(CheckpointError, ValueError, RecursionError):
        description = read_committed(directory, STATE_DESCRIPTION, MAX_META_BYTES)
        return mark(recorded_share(json.loads(description), "validation"))
    return mark(None)


def described(label: str, points: Sequence[HistoryPoint], meta: Meta) -> TrainingRun:
    """Return a training run with the settings and marks that a meta.json records."""
    # Show the tokenizer and vocabulary, because losses are comparable only if both are the same.
    names = (*_SIZES, *(("tokenizer", "vocab_size") if meta.tokenizer != "char" else ()))
    facts = {name: getattr(meta, name) for name in names} | meta.training
    settings = {
        name: fact
        for name, fact in facts.items()
        if name not in _OUTCOMES
        and not name.endswith("_sha256")
        and isinstance(fact, int | float | str)
    }
    test_loss = meta.training.get("test_loss")
    test_loss = test_loss if isinstance(test_loss, float) else None
    marks = [mark(recorded_share(meta.training, name)) for name in HELD_OUT]
    return TrainingRun(label, points, settings, test_loss, *marks)
