"""Workers, documents, progress and interruption messages of searches and sweeps."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import typer

from microgpt import (
    DEFAULT_SEED,
    ConfigError,
    Document,
    Given,
    MicrogptError,
    ReadOptions,
    Split,
    as_argument,
    count,
    describe_read,
    load_documents,
    path_from_text,
    path_to_text,
    split_documents,
)
from microgpt_cli.model_loading import check_regular
from microgpt_cli.terminal.console import discard_output, note, say
from microgpt_cli.terminal.options import DEFAULT_CHAT, DEFAULT_TEXT
from microgpt_cli.terminal.progress import ProgressBar, time_left
from microgpt_cli.training.inputs import default_input
from microgpt_evolution.genome import Genome
from microgpt_evolution.genome_file import read_genome_of
from microgpt_evolution.runs.run_directory import SWEEP, RunDirectory, RunSettings
from microgpt_evolution.space import Space, read_space
from microgpt_evolution.workers.dask import Dask
from microgpt_evolution.workers.pools import Pool, Threads, default_workers

SWITCH_INTERVAL_S = 2e-4


@contextmanager
def open_pool(given: Given, *, n_trials: int) -> Iterator[Pool]:
    """Yield a pool of threads, or of Dask workers if a scheduler is given."""
    if "scheduler" in given:
        pool: Pool = Dask(given["scheduler"])
    else:
        # By default, a thread may wait 5 ms for the GIL when a kernel ends. A shorter interval
        # makes two threads 91 % as fast as two processes instead of 86 %
        # (study `evolution_speed`, last at a922fbb8).
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        pool = Threads(given.get("workers") or default_workers(n_trials))
    with pool:
        pool.executor()  # fail before creating a run if the cluster is unreachable
        yield pool


def new_documents(given: Given) -> tuple[Path, Sequence[Document] | str]:
    """Return the path and the documents of a new run."""
    path = given.get("input")
    path = path or default_input(DEFAULT_CHAT if "chat" in given else DEFAULT_TEXT)
    return path, load_documents(path, ReadOptions.of(given), tell=note)


def start_of(given: Given, remedy: str, *, is_budgeted: bool) -> tuple[Genome | None, Space | None]:
    """Return the genome of --warm-start and the space of --space; see `read_genome_of`."""
    genome, space = None, None
    if path := given.get("warm_start"):
        genome = read_genome_of(path, remedy, is_budgeted=is_budgeted).genome
    if path := given.get("space"):
        space = read_space(path, is_budgeted=is_budgeted)
    return genome, space


def as_setting(path: Path) -> str:
    """Return a path as it is stored in run.json."""
    return path_to_text(os.path.abspath(path))


def recorded(given: Given, path: Path) -> dict[str, Any]:
    """Return the settings of a run that follow from the options and the path of the documents."""
    names = ("column", "chat", "me", "separator", "minutes")
    found = {name: given[name] for name in names if name in given}
    if "train_winner" in given:
        found["train_winner"] = as_setting(given["train_winner"])
    return {"input": as_setting(path), "seed": given.get("seed", DEFAULT_SEED), **found}


def limits_of(given: Given) -> dict[str, float]:
    """Return the options that limit a training run."""
    return {name: given[name] for name in ("minutes", "budget") if name in given}


def documents_again(settings: RunSettings, path: Path | None) -> Split:
    """Return the documents of a run to resume; `path` is required if they were moved.

    Raises:
        ConfigError: the documents are not those of the run.
    """
    run = "sweep" if settings.kind == SWEEP else "run"
    if path is None:
        path = path_from_text(settings.input)
        check_regular(path, f"pass the documents of this {run} with --data")
    docs = load_documents(path, ReadOptions.of(vars(settings)), tell=note)
    parts = split_documents(docs, settings.val_fraction, settings.test_fraction, settings.gap)
    if parts.facts.sha256 != settings.data_sha256:
        raise ConfigError(
            f"{path} is not the input of the {run}: its documents have a different sha256; "
            "pass the original file with --data"
        )
    return parts


def note_read(settings: RunSettings) -> None:
    """Print a note if held-out documents are also read in training."""
    if line := describe_read(settings.contamination):
        note(line)


class StudyProgress(ProgressBar):
    """Progress of a search or a sweep; the time left follows from the work since the start."""

    def __init__(self, what: str, total: int) -> None:
        super().__init__(what, total)
        self.told = set[object]()
        self.begin()

    def tell(self, line: str, key: object = None) -> None:
        """Print a note in place of the bar, unless one with this key (default: the line) was."""
        if (key or line) not in self.told:
            self.told.add(key or line)
            self.stop()
            note(line)

    def begin(self, work: float = 0.0) -> None:
        """Measure the speed from now on; so much work was done before."""
        self._started, self._first = perf_counter(), work

    def update(self, done: int, work: float, work_left: float, figures: str = "") -> None:
        """Show that a part of the total is done, and estimate the time left from the work."""
        speed = (work - self._first) / (perf_counter() - self._started)
        left = time_left(work_left, speed) if work_left else "done"
        parts = filter(None, (f"{self._what} {done} / {self._total}", figures, left))
        self.show(done, left, " | ".join(parts), figures)


@contextmanager
def resumable(records: RunDirectory[Any], command: str = "") -> Iterator[None]:
    """Add the resume command (default: the one for this kind of run) to an error message."""
    kind = records.settings.kind
    how = f"resume with: {command or kind.resume} {as_argument(records.directory)}"
    try:
        yield
    except KeyboardInterrupt as stop:
        n, unit = records.n_recorded, "training run" if kind == SWEEP else "evaluation"
        raise type(stop)(f"after {count(n, unit)}; {how}") from None
    except (MicrogptError, OSError) as error:  # OSError: writing to stdout failed
        if not records.n_known:  # without recorded evaluations, there is nothing to resume
            raise
        say(f"error: {error}; {how}")
        if isinstance(error, OSError):
            discard_output(sys.stdout)
        raise typer.Exit(1) from error
