"""Find models, unfinished training runs, searches and sweeps below a directory."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from microgpt.amounts import count
from microgpt.data.contamination import Bounds, bounds_of
from microgpt.errors import MicrogptError
from microgpt.files.atomic_files import committed_path
from microgpt.files.regular_file import read_regular_file
from microgpt.model_config import ModelConfig, count_params
from microgpt.printable import printable

Kind = Literal["model", "training", "search", "sweep", "run"]
MODEL, STATE, RUN = "meta.json", "train_state.json", "run.json"
EVALUATIONS, GENOME = "evaluations.jsonl", "genome.json"
# Files that identify a model or run directory even if the JSON metadata is unreadable.
CONTENTS = {
    MODEL: ("weights.json", "model.safetensors"),
    STATE: ("train_state.safetensors",),
    RUN: (EVALUATIONS,),
}
DAMAGES = (ValueError, TypeError, KeyError, RecursionError, OverflowError, MicrogptError)
MAX_BYTES = 2**28
WRITER = "microgpt "  # start of `created_by`; the version follows
SHAPE = {"vocab_size", "n_embd", "n_head", "n_layer", "block_size"}
MORE = {"n_ff_exp", "positions"}  # parts of the shape that a meta.json may lack
UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


@dataclass(frozen=True)
class Saved:
    """A model or run in a directory; a directory may contain both."""

    path: str
    kind: Kind
    modified: float  # Unix time in seconds
    num_params: int | None = None
    steps: int | None = None
    steps_planned: int | None = None  # set only for an unfinished training run
    evaluations: int | None = None  # number of evaluations of a search or a sweep
    loss: float | None = None  # training loss, or the score if a search maximizes a score
    val_loss: float | None = None
    per: Literal["token", "character"] = "token"  # unit of the held-out loss
    contamination: Bounds | None = None  # of the validation set
    problem: str | None = None  # error message if the metadata is unreadable


def find_saved(top: Path, on_error: Callable[[OSError], None]) -> Iterator[Saved]:
    """Yield all models and runs in a directory tree.

    Links, hidden directories, and directories named "tests" are skipped.
    """
    for folder, names, _ in os.walk(top, onerror=on_error):
        yield from saved_in(Path(folder))
        names[:] = sorted(name for name in names if name[0] != "." and name != "tests")


def saved_in(directory: Path) -> Iterator[Saved]:
    """Yield the models and runs in a directory, but not in subdirectories."""
    kinds: tuple[tuple[str, Kind, Callable[[Saved, object], Saved | None]], ...] = (
        (MODEL, "model", _model),
        (STATE, "training", _training),
        (RUN, "run", _run),
    )
    for name, kind, describe in kinds:
        path = committed_path(directory, name)
        saved = Saved(str(directory), kind, _modified(path))
        try:
            if found := describe(saved, json.loads(read_regular_file(path, MAX_BYTES))):
                yield found
        except FileNotFoundError:
            continue
        except (OSError, *DAMAGES) as error:
            if _has_contents(directory, name):
                problem = error.strerror if isinstance(error, OSError) else "damaged"
                yield replace(saved, problem=f"{name}: {problem}")


def age(seconds: float) -> str:
    """Format an age in the largest unit that fits, such as "3 hours"."""
    for unit, length in UNITS:
        if n := int(seconds // length):
            return count(n, unit)
    return "less than a minute"


def lines_of(found: list[Saved]) -> Iterator[str]:
    """Yield the lines of a table with one line per entry."""
    rows = [("kind", "params", "steps", "loss", "age", "path")]
    rows += [(*_cells(saved), printable(saved.path)) for saved in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(
            f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()


def _cells(saved: Saved) -> tuple[str, str, str, str, str]:
    size = "-" if saved.num_params is None else f"{saved.num_params:,}"
    steps = "-" if saved.steps is None else f"{saved.steps:,}"
    if saved.steps_planned is not None:
        steps += f" of {saved.steps_planned:,}"
    if saved.evaluations is not None:
        steps = count(saved.evaluations, "evaluation")
    loss = "-" if saved.loss is None else f"{saved.loss:.4f}"
    if saved.val_loss is not None:
        per = " per character" if saved.per == "character" else ""
        loss = f"{saved.val_loss:.4f} held-out{per}{saved.contamination or ''}"
    return saved.kind, size, steps, saved.problem or loss, age(time.time() - saved.modified)


def _modified(path: Path) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _model(saved: Saved, meta: object) -> Saved | None:
    if not (_is_ours(meta) or _has_contents(Path(saved.path), MODEL)):
        return None  # a checkpoint of another program
    training = _at(meta, "training")
    return replace(
        saved,
        num_params=_n_params(meta),
        steps=_int(training, "steps"),
        loss=_number(training, "train_loss"),
        val_loss=_number(training, "val_loss"),
        contamination=_bounds(training),
    )


def _training(saved: Saved, state: object) -> Saved | None:
    if _at(state, "status") == "ended":
        return None  # `_model` lists the finished model
    return replace(
        saved,
        num_params=_n_params(_at(state, "model")),
        steps=_int(state, "step"),
        steps_planned=_int(state, "config", "steps"),
        loss=_number(state, "train_loss"),
        val_loss=_number(state, "best", "val_loss"),
        contamination=_bounds(state),
    )


def _run(saved: Saved, run: object) -> Saved | None:
    if not (isinstance(_at(run, "version"), int) and _is_ours(run)):
        return None  # another program wrote this run.json
    settings, genome, n_evaluations = _at(run, "settings"), None, 0
    if not isinstance(settings, dict):
        raise TypeError
    with suppress(OSError, ValueError, RecursionError):
        genome = json.loads(read_regular_file(Path(saved.path) / GENOME, MAX_BYTES))
    evaluations = Path(saved.path) / EVALUATIONS
    with suppress(OSError):  # the file may be missing after an interrupted removal
        n_evaluations = read_regular_file(evaluations, MAX_BYTES).count(b"\n")
    return replace(
        saved,
        kind="sweep" if "sweep" in settings else "search",
        modified=max(saved.modified, _modified(evaluations)),
        evaluations=n_evaluations,
        loss=_number(genome, "score" if _at(genome, "loss") is None else "loss"),
        val_loss=_number(genome, "val_loss"),
        per="character" if "budget" in settings else "token",
    )


def _has_contents(directory: Path, name: str) -> bool:
    return any(os.path.lexists(committed_path(directory, file)) for file in CONTENTS[name])


def _is_ours(facts: object) -> bool:
    return str(_at(facts, "created_by")).startswith(WRITER)


def _n_params(model: object) -> int:
    if not isinstance(model, dict):
        raise TypeError
    names = SHAPE | (MORE & model.keys())
    return count_params(ModelConfig(**{name: model[name] for name in names}))


def _at(facts: object, *keys: str) -> object:
    """Return the value at a path of keys in a JSON document, or None if it is missing."""
    for key in keys:
        facts = facts.get(key) if isinstance(facts, dict) else None
    return facts


def _bounds(record: object) -> Bounds | None:
    return bounds_of(record, "validation") if isinstance(record, dict) else None


def _number(facts: object, *keys: str) -> float | None:
    value = _at(facts, *keys)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _int(facts: object, *keys: str) -> int | None:
    value = _at(facts, *keys)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
