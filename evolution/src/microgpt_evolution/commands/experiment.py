"""Worker pools, documents and interruption messages of searches and sweeps."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from microgpt import (
    ConfigError,
    MicrogptError,
    ReadOptions,
    Split,
    as_argument,
    count,
    load_documents,
    path_from_text,
    path_to_text,
    split_documents,
)
from microgpt_cli.model_loading import check_regular
from microgpt_cli.terminal.console import discard_output, note, say
from microgpt_evolution.runs.run_directory import SWEEP, RunDirectory, RunSettings
from microgpt_evolution.workers.dask import Dask
from microgpt_evolution.workers.pools import Pool, Threads, default_workers

SWITCH_INTERVAL_S = 2e-4


@contextmanager
def open_pool(given: Mapping[str, Any], *, n_trials: int) -> Iterator[Pool]:
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


def as_setting(path: Path) -> str:
    """Return a path as it is stored in run.json."""
    return path_to_text(os.path.abspath(path))


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
