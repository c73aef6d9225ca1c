"""Training runs for charts: names, settings and loss curves."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from microgpt import (
    HELD_OUT,
    HISTORY,
    MAX_META_BYTES,
    META,
    STATE_DESCRIPTION,
    CheckpointError,
    HistoryPoint,
    Meta,
    TrainResult,
    committed_path,
    count_params,
    mark,
    meta_of,
    printable,
    read_committed,
    read_history,
    read_meta,
    recorded_share,
)

MAX_POINTS = 100  # maximum number of points per curve; more would not be visible
WIDEST = 1 / 20  # maximum standard deviation of the Gaussian smoothing, as a fraction of the run
WIDTH_AT_FIRST = 1 / 5  # maximum standard deviation, as a fraction of the number of steps so far

# Keys of meta.json that are results rather than settings.
_OUTCOMES = {"steps", "train_loss", "val_loss", "test_loss", "best_step", "seconds"}
_SIZES = ("n_embd", "n_head", "n_layer", "block_size")

Curve = Sequence[tuple[int, float]]  # (step, loss) pairs


@dataclass(frozen=True)
class TrainingRun:
    """A training run with its settings and loss history."""

    label: str  # shortened but unambiguous path of the model directory
    points: Sequence[HistoryPoint]  # at least one point
    settings: Mapping[str, object]  # training settings by name; empty until meta.json is written
    test_loss: float | None  # test loss in nats per token; None if not measured
    val_mark: str = ""  # whether the held-out loss is of contaminated documents
    test_mark: str = ""

    @cached_property
    def training(self) -> Curve:
        """The training loss by step, averaged to at most MAX_POINTS points."""
        last = self.points[-1].step
        curve, before = [], 0
        for _, group in groupby(self.points, lambda point: (point.step - 1) * MAX_POINTS // last):
            mean, first = 0.0, before
            for point in group:
                share = (point.step - before) / (point.step - first)
                mean, before = (1 - share) * mean + share * point.loss, point.step
            curve.append((before, mean))
        return curve

    @cached_property
    def smoothed(self) -> Curve:
        """The training loss, smoothed with a Gaussian kernel that is narrower at the start.

        The loss falls fastest at the start. A running mean would lag behind a falling loss and
        would therefore be too high.
        """
        widest = self.points[-1].step * WIDEST
        means = []
        for step, _ in self.training:
            width = min(widest, step * WIDTH_AT_FIRST)
            weights = [math.exp(-(((other - step) / width) ** 2) / 2) for other, _ in self.training]
            whole = sum(weights)
            pairs = zip(weights, self.training, strict=True)
            means.append((step, sum(weight / whole * loss for weight, (_, loss) in pairs)))
        return means

    @cached_property
    def held_out(self) -> Curve:
        """The held-out loss by step: at most MAX_POINTS points, including the last."""
        curve = self._all_held_out
        return curve[:: -math.ceil(len(curve) / MAX_POINTS)][::-1] if curve else []

    @cached_property
    def best(self) -> tuple[int, float] | None:
        """The step and value of the lowest held-out loss; the first step wins ties."""
        return min(self._all_held_out, key=lambda measured: measured[1], default=None)

    @cached_property
    def _all_held_out(self) -> Curve:
        return [(p.step, p.val_loss) for p in self.points if p.val_loss is not None]


def read_training_runs(directories: Sequence[Path]) -> list[TrainingRun]:
    """Read the training runs of model directories, ignoring duplicates.

    Raises:
        CheckpointError: a history is missing, damaged or empty, or meta.json is damaged.
    """
    paths = [*{os.path.realpath(path): path for path in directories}.values()]
    return [_read_run(path, label) for path, label in zip(paths, labels(paths), strict=True)]


def training_run_of(result: TrainResult) -> TrainingRun:
    """Return the training run of a result; raise CheckpointError if there are no losses."""
    if not result.state.history:
        raise CheckpointError("there are no losses to plot; train for at least one step")
    label = f"{count_params(result.model):,} weights"
    meta = meta_of(result, result.plan, result.state, result.test_loss)
    return _with_settings(label, result.state.history, meta)


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
    return _with_settings(label, points, meta)


def _mark(directory: Path) -> str:
    """Return the mark of the held-out losses of an unfinished training run."""
    with suppress(CheckpointError, ValueError, RecursionError):
        description = read_committed(directory, STATE_DESCRIPTION, MAX_META_BYTES)
        return mark(recorded_share(json.loads(description), "validation"))
    return ""


def _with_settings(label: str, points: Sequence[HistoryPoint], meta: Meta) -> TrainingRun:
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


def labels(directories: Sequence[Path]) -> list[str]:
    """Return the shortest path suffixes that distinguish the directories."""
    parts = [Path(os.path.abspath(path)).parts for path in directories]
    n_names, found = 0, [""] * len(parts)
    while n_names == 0 or len(set(found)) < len(found):
        n_names += 1
        found = [os.path.join(*names[-n_names:]) for names in parts]
    return [printable(label, len(label)) for label in found]
