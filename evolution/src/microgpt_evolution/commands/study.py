"""The path of `evolve` and `sweep`: documents, workers, a new or resumed study, its report."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import typer

from microgpt import (
    DEFAULT_SEED,
    ConfigError,
    Document,
    Given,
    MicrogptError,
    ReadOptions,
    Split,
    TextKind,
    TimeLimit,
    as_argument,
    count,
    describe_read,
    load_documents,
    n_cpus,
    path_from_text,
    path_to_text,
    split_documents,
)
from microgpt_cli.model_loading import check_regular
from microgpt_cli.terminal.console import discard_output, note, say
from microgpt_cli.terminal.progress import load_kernels
from microgpt_cli.training.inputs import default_input
from microgpt_evolution.commands.runs import RUNS, write_final_report
from microgpt_evolution.errors import NoWinnerError
from microgpt_evolution.study import SWEEP, Study, StudySettings
from microgpt_evolution.workers import Dask, Threads, Workers

SWITCH_INTERVAL_S = 2e-4
R = TypeVar("R", bound=Study[Any])
S = TypeVar("S", bound=StudySettings)
# Returns the settings and the documents of a new study, given the documents, facts to record, and
# the number of workers.
Plan = Callable[[Sequence[Document] | str, Mapping[str, Any], int], tuple[S, Split]]


@contextmanager
def open_study(
    given: Given,
    kind: type[R],
    plan: Plan[Any] | None,
    *,
    text: TextKind | None = None,
    limit: TimeLimit | None = None,
) -> Iterator[tuple[R, Split, Workers]]:
    """Yield a new study or the one to resume, its documents and its workers; then write its report.

    An error and Ctrl-C name the command that resumes the study.

    Args:
        given: options of the command; with `resume`, the study in that directory goes on.
        plan: called for a new study.
        text: how a new study reads its file; None to detect running text.
        limit: a time limit; the compilation extends it.
    """
    with ExitStack() as stack:
        if "resume" in given:
            study: R = kind.open(given["resume"])
            stack.enter_context(study)
            if getattr(study.settings, "has_function", False):
                title = study.settings.kind.title
                raise ConfigError(f"the {title} measures a function; resume it in Python")
            _change(study, given)
            parts = _documents_again(study.settings, given.get("input"))
            pool = stack.enter_context(_workers(given, limit))
        else:
            path = given.get("input") or default_input()
            docs = load_documents(path, ReadOptions.of({**given, "text": text}), tell=_tell)
            pool = stack.enter_context(_workers(given, limit))
            assert plan
            settings, parts = plan(docs, _recorded(given, path), pool.n_workers())
            name = "sweep" if kind.settings_type.kind == SWEEP else "evolve"
            study = kind.begin(RUNS, name, settings)
            stack.enter_context(study)
        if line := describe_read(study.settings.contamination):
            note(line)
        had_ended, n_recorded = study.has_ended, study.n_recorded
        with _resumable(study):
            yield study, parts, pool
        if had_ended and study.n_recorded == n_recorded:
            title = study.settings.kind.title
            note(f"the {title} had finished, so nothing changed")
        else:
            study.end()
            write_final_report(study.directory)


def limits_of(given: Given) -> dict[str, float]:
    """Return the options that limit a training run."""
    return {name: given[name] for name in ("minutes", "budget") if name in given}


def as_setting(path: Path) -> str:
    """Return a path as it is stored in settings.json."""
    return path_to_text(os.path.abspath(path))


@contextmanager
def _workers(given: Given, limit: TimeLimit | None) -> Iterator[Workers]:
    """Yield threads, or Dask workers if a scheduler is given, with kernels that are loaded."""
    if "scheduler" in given:
        pool: Workers = Dask(given["scheduler"])
    else:
        # By default, a thread may wait 5 ms for the GIL when a kernel ends. A shorter interval
        # makes two threads 91 % as fast as two processes instead of 86 %
        # (study `evolution_speed`, last at a922fbb8).
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        pool = Threads(given.get("workers") or n_cpus())
    with pool:
        pool.n_workers()  # fail before creating a study if the cluster is unreachable
        compilation_s = load_kernels(None, uses=["training", "evaluation", "generation"])
        if limit:
            limit.extend(compilation_s)
        yield pool


def _change(study: Study[Any], given: Given) -> None:
    """Give a study to resume the settings that the user adds, and say what they add."""
    settings, changes = study.settings, dict[str, Any]()
    for name in (settings.more - {"seeds"}) & given.keys():  # `sweep_run` adds seeds
        old = getattr(settings, name)
        if given[name] <= old:
            has = f"the {settings.kind.title} has {old} {name}"
            raise ConfigError(f"{has}; pass more with --{name}, or omit it")
        changes[name] = given[name]
        note(f"{given[name] - old:g} more {name} than the {old:g} so far")
    if "train_winner" in given:
        changes["train_winner"] = as_setting(given["train_winner"])
    if any(value != getattr(settings, name) for name, value in changes.items()):
        study.change(settings.model_copy(update=changes))


def _tell(line: str) -> None:
    note(line.partition(" (--text lines")[0])  # without the options of `train`


def _recorded(given: Given, path: Path) -> dict[str, Any]:
    """Return the settings of a study that follow from the options and the path of the documents."""
    names = ("column", "trial_minutes")
    found = {name: given[name] for name in names if name in given}
    if "train_winner" in given:
        found["train_winner"] = as_setting(given["train_winner"])
    return {"input": as_setting(path), "seed": given.get("seed", DEFAULT_SEED), **found}


def _documents_again(settings: StudySettings, path: Path | None) -> Split:
    """Return the documents of a study to resume; `path` is required if they were moved.

    Raises:
        ConfigError: the documents are not those of the study.
    """
    title = settings.kind.title
    if path is None:
        path = path_from_text(settings.input)
        check_regular(path, f"pass the documents of this {title} with --data")
    docs = load_documents(path, ReadOptions.of(vars(settings)), tell=note)
    parts = split_documents(docs, settings.val_fraction, settings.test_fraction, settings.gap)
    if parts.facts.sha256 != settings.data_sha256:
        raise ConfigError(
            f"{path} is not the input of the {title}: its documents have a different sha256; "
            "pass the original file with --data"
        )
    return parts


@contextmanager
def _resumable(study: Study[Any]) -> Iterator[None]:
    """Add the command that resumes a study to the message of an error."""
    how = f"resume with: {study.settings.kind.resume} {as_argument(study.directory)}"
    try:
        yield
    except KeyboardInterrupt as stop:
        raise type(stop)(f"after {count(study.n_recorded, 'training run')}; {how}") from None
    except NoWinnerError as error:
        say(f"error: {error}; see {study.directory}")
        raise typer.Exit(1) from error
    except (MicrogptError, OSError) as error:  # OSError: writing to stdout failed
        # An option may be wrong; without recorded trials, there is nothing to resume.
        if isinstance(error, ConfigError) or not study.n_known:
            raise
        say(f"error: {error}; {how}")
        if isinstance(error, OSError):
            discard_output(sys.stdout)
        raise typer.Exit(1) from error
