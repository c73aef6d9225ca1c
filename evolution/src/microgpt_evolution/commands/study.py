"""The path of `evolve` and `sweep`: documents, workers, a new or resumed study, its report."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
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
from microgpt_cli.terminal.progress_bar import load_kernels
from microgpt_cli.training.inputs import default_input
from microgpt_evolution.commands.options import check_seeds
from microgpt_evolution.commands.runs import REPORT, RUNS, write_final_report
from microgpt_evolution.errors import NoWinnerError, StudyError
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import StudySettings
from microgpt_evolution.trials_file import read_trials
from microgpt_evolution.workers import Dask, Threads, Workers

SWITCH_INTERVAL_S = 2e-4
S = TypeVar("S", bound=StudySettings)
Documents = Sequence[Document] | str
# Returns the settings and the documents of a new study, given the documents, facts to record, and
# the number of workers.
Plan = Callable[[Documents, dict[str, Any], int], tuple[S, Split]]


@contextmanager
def open_study(
    given: Given,
    kind: type[S],
    plan: Plan[S] | None,
    *,
    text: TextKind | None = None,
    limit: TimeLimit | None = None,
    is_saved: Callable[[Path], bool] = lambda run: True,
) -> Iterator[tuple[Study[S], Split, Workers]]:
    """Yield a new study or the one to resume, its documents and its workers; then write its report.

    An error and Ctrl-C name the command that resumes the study.

    Args:
        given: options of the command; with `resume`, the study in that directory goes on.
        kind: the type of its settings.
        plan: called for a new study.
        text: how a new study reads its file; None to detect running text.
        limit: a time limit; the compilation extends it.
        is_saved: whether the results in a directory are complete. A study that has ended and gets
            nothing more is left as it is then, and the command ends.
    """
    with ExitStack() as stack:
        if "resume" in given:
            study = stack.enter_context(Study[S].open(given["resume"], kind))
            if study.settings.has_function:
                noun = study.settings.noun
                raise ConfigError(f"the {noun} measures a function; resume it in Python")
            parts = _documents_again(study.settings, given.get("input"))
            pool = stack.enter_context(_workers(given, limit))
            _change(study, given)  # last, because an error must change nothing
            if study.has_ended and not limits_of(given) and is_saved(study.directory):
                _leave(study)
        else:
            path = given.get("input") or default_input()
            docs = load_documents(path, ReadOptions.of({**given, "text": text}), tell=_tell)
            pool = stack.enter_context(_workers(given, limit))
            assert plan
            facts = {"input": as_setting(path), "seed": given.get("seed", DEFAULT_SEED)}
            settings, parts = plan(docs, facts | _recorded(given), pool.n_workers())
            name = "sweep" if settings.noun == "sweep" else "evolve"
            study = stack.enter_context(Study[S].begin(RUNS, name, settings))
        if line := describe_read(study.settings.contamination):
            note(line)
        with _resumable(study):
            yield study, parts, pool
        study.end()
        write_final_report(study.directory)


def _leave(study: Study[Any]) -> None:
    """End the command, because the study has ended; write its report if it has none."""
    if not (study.directory / REPORT).exists():
        write_final_report(study.directory)
    how = f"see it with: microgpt report {as_argument(study.directory)}"
    note(f"the {study.settings.noun} had finished, so nothing changed; {how}")
    raise typer.Exit


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
    for name in settings.more & given.keys():
        old, new = getattr(settings, name), given[name]
        n = len(old) if name == "seeds" else old
        if new == n and not study.has_ended:  # the command was interrupted and is repeated
            continue
        if new <= n:
            raise ConfigError(f"the {settings.noun} has {n} {name}; pass more with --{name}")
        if name == "seeds":
            check_seeds(new, old[0])
        changes[name] = tuple(range(old[0], old[0] + new)) if name == "seeds" else new
        note(f"{count(new - n, name[:-1])} more than the {n:,} so far")
    changes |= _recorded(given)
    if any(value != getattr(settings, name) for name, value in changes.items()):
        study.change(**changes)
    if "trial_minutes" in given and settings.noun == "sweep":
        study.forget_crashes()


def _tell(line: str) -> None:
    note(line.partition(" (--text lines")[0])  # without the options of `train`


def _recorded(given: Given) -> dict[str, Any]:
    """Return the options that a study records, new or resumed."""
    found = {name: given[name] for name in ("column", "trial_minutes") if name in given}
    if "train_winner" in given:
        found["train_winner"] = as_setting(given["train_winner"])
    return found


def _documents_again(settings: StudySettings, path: Path | None) -> Split:
    """Return the documents of a study to resume; `path` is required if they were moved.

    Raises:
        ConfigError: the documents are not those of the study.
    """
    noun = settings.noun
    if path is None:
        path = path_from_text(settings.input)
        check_regular(path, f"pass the documents of this {noun} with --data")
    docs = load_documents(path, ReadOptions.of(vars(settings)), tell=note)
    parts = split_documents(docs, settings.val_fraction, settings.test_fraction, settings.gap)
    if parts.facts.sha256 != settings.data_sha256:
        raise ConfigError(
            f"{path} is not the input of the {noun}: its documents have a different sha256; "
            "pass the original file with --data"
        )
    return parts


@contextmanager
def _resumable(study: Study[Any]) -> Iterator[None]:
    """Add the command that resumes a study to the message of an error."""
    how = f"resume with: {study.settings.resume_command} {as_argument(study.directory)}"
    try:
        yield
    except KeyboardInterrupt as stop:
        n_recorded = len(read_trials(study.directory)[0])  # one more, perhaps, than is known
        raise type(stop)(f"after {count(n_recorded, 'training run')}; {how}") from None
    except NoWinnerError as error:
        say(f"error: {error}; see {study.directory}")
        raise typer.Exit(1) from error
    except (MicrogptError, OSError) as error:  # OSError: writing to stdout failed
        # An option may be wrong; without recorded trials, there is nothing to resume.
        if isinstance(error, ConfigError | StudyError) or not study.records:
            raise
        say(f"error: {error}; {how}")
        if isinstance(error, OSError):
            discard_output(sys.stdout)
        raise typer.Exit(1) from error
