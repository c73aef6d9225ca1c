"""Open a study of `evolve` or `sweep` with its documents and workers, and write its report."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import typer

from microgpt import (
    DEFAULT_SEED,
    ConfigError,
    DataError,
    Given,
    MicrogptError,
    ReadOptions,
    Split,
    TimeLimit,
    as_argument,
    count,
    describe_read,
    hold_out,
    load_documents,
    n_cpus,
    prepare_engine,
    recorded_path,
    split,
    split_documents,
)
from microgpt_cli.model_loading import check_regular
from microgpt_cli.terminal.console import discard_output, note, say
from microgpt_cli.terminal.progress_bar import Progress, time_left
from microgpt_cli.training.inputs import default_input
from microgpt_evolution.commands.study_options import RUNS
from microgpt_evolution.evolution_errors import NoWinnerError, StudyError
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import (
    HELD_OUT,
    StudySettings,
    SweepSettings,
    facts_of,
    seeds_from,
)
from microgpt_evolution.trial import Evaluation, read_trials
from microgpt_evolution.workers import Dask, Threads, Workers

SWITCH_INTERVAL_S = 2e-4
S = TypeVar("S", bound=StudySettings)
# A function that returns the settings of a new study, given its documents, facts to record, and the
# number of workers.
Plan = Callable[[Split, dict[str, Any], int], S]
N_REMARKS = 3  # maximum number of notes on failed trials; the study records all failures


@contextmanager
def open_study(
    given: Given,
    kind: type[S],
    plan: Plan[S],
    limits: Mapping[str, float] | None = None,  # `minutes` or `budget`, if the search has one
    limit: TimeLimit | None = None,
    is_saved: Callable[[Path], bool] = lambda directory: True,  # whether a run's winner is saved
) -> Iterator[tuple[Study[S], Split, Workers]]:
    """Yield a new or resumed study, its documents and its workers; then write its report.

    After an error or Ctrl-C, a message names the command that resumes the study. The process exits
    if there is nothing to resume: the study has ended, is not extended, and its winner is saved.
    """
    recorded: dict[str, Any] = {"column": given["column"]} if "column" in given else {}
    if "train_winner" in given:
        recorded["train_winner"] = recorded_path(given["train_winner"])
    path = given.get("input")
    study: Study[S] | None = None
    with ExitStack() as stack:
        if "resume" in given:
            study = stack.enter_context(Study(given["resume"], kind, is_locked=True))
            recorded |= _more(study.settings, given)
            sets = read_documents_again(study.settings, path)
        else:
            path = path or default_input()
            recorded["input"] = recorded_path(path)
            sets = read_documents(path, given, limits, kind)
        pool = stack.enter_context(_workers(given, limit))
        if study:
            study.extend(recorded)  # comes last, so that an earlier error changes nothing
            if study.has_ended and is_saved(study.directory):
                how = f"see it with: microgpt report {as_argument(study.directory)}"
                note(f"the {study.settings.noun} had finished, so nothing changed; {how}")
                raise typer.Exit
        else:
            facts = {"seed": given.get("seed", DEFAULT_SEED), **facts_of(sets), **recorded}
            settings = plan(sets, facts, pool.n_workers())
            name = "sweep" if settings.noun == "sweep" else "evolve"
            study = stack.enter_context(Study[S].begin(RUNS, name, settings))
        if line := describe_read(study.settings.contamination):
            note(line)
        with resumable(study):
            yield study, sets, pool
        study.end()
        _write_report(study.directory)


def read_documents(
    path: Path, given: Given, limits: Mapping[str, float] | None, kind: type[StudySettings]
) -> Split:
    """Return the split documents of a new study; its messages do not name options of `train`."""
    # Without a time limit or budget, each line is a document; notes must not suggest --text.
    options = ReadOptions.from_settings(given if limits else {**given, "text": "lines"})
    try:
        docs = load_documents(path, options, tell=lambda line: note(line.partition(" (--text")[0]))
    except DataError as error:
        problem, _, remedy = str(error).partition("; ")
        if "--chat" in remedy or ("--column" in remedy and kind is SweepSettings):
            raise DataError(f"{problem}; write one document per line into a text file") from error
        raise
    if not limits:
        return split(docs, validation=HELD_OUT, test=HELD_OUT)
    sets = hold_out(docs, limits, tell=note)
    if not sets.validation:
        raise DataError(f"{path} has too few documents to hold some out; use more documents")
    return sets


@contextmanager
def _workers(given: Given, limit: TimeLimit | None) -> Iterator[Workers]:
    """Load the kernels, and yield threads, or Dask workers if a scheduler is given."""
    if "scheduler" in given:
        pool: Workers = Dask(given["scheduler"])
    else:
        # By default, a thread can wait 5 ms for the GIL when a kernel ends. A shorter interval
        # raises the speed of two threads from 86 % to 91 % of the speed of two processes
        # (bench/evolution_speed.py at commit a922fbb8).
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        pool = Threads(given.get("workers") or n_cpus())
    with pool:
        pool.n_workers()  # fail before creating a study if the cluster is unreachable
        compilation_s = prepare_engine(None, uses=["training", "evaluation", "generation"])
        if limit:
            limit.started += compilation_s
        yield pool


def _more(settings: StudySettings, given: Given) -> dict[str, Any]:
    """Return the settings of a resumed study that the user increases, and print a note on each."""
    changes = {}
    for name in settings.more & given.keys():
        old, new = getattr(settings, name), given[name]
        changes[name] = seeds_from(old[0], new) if name == "seeds" else new
        if new > (n := len(old) if name == "seeds" else old):
            note(f"{count(new - n, name[:-1])} more than the {n:,} so far")
    return changes


def read_documents_again(settings: StudySettings, path: Path | None) -> Split:
    """Return the split documents of a recorded study; raise ConfigError if they have changed."""
    if path is None:
        path = Path(settings.input)
        check_regular(path, f"restore or pass the documents of this {settings.noun}")
    docs = load_documents(path, ReadOptions.from_settings(vars(settings)), tell=note)
    sets = split_documents(docs, settings.val_fraction, settings.test_fraction, settings.gap)
    if sets.facts.sha256 != settings.data_sha256:
        raise ConfigError(
            f"{path} is not the input of the {settings.noun}: its documents have a different "
            "sha256; restore or pass the original file"
        )
    return sets


@contextmanager
def resumable(study: Study[Any]) -> Iterator[None]:
    """Add the command that resumes the study to the message of an error or a signal."""
    how = f"resume with: {study.settings.resume_command} {as_argument(study.directory)}"
    try:
        yield
    except KeyboardInterrupt as stop:
        n_recorded = len(read_trials(study.directory)[0])  # not `study.records`: it can be outdated
        raise type(stop)(f"after {count(n_recorded, 'training run')}; {how}") from None
    except (MicrogptError, OSError) as error:  # OSError: writing to stdout failed
        # The hint on resuming is omitted if an option can be wrong or if no trial is recorded.
        if isinstance(error, ConfigError | StudyError) or not study.records:
            raise
        has_failed = isinstance(error, NoWinnerError)
        say(f"error: {error}; {f'see {study.directory}' if has_failed else how}")
        if isinstance(error, OSError):
            discard_output(sys.stdout)
        raise typer.Exit(1) from error


def _write_report(directory: Path) -> None:
    """Write the report of a finished study; on failure, print a note with the reason."""
    try:
        from microgpt_evolution.report.study_report import write_report

        note(f"the report is in {write_report(directory)}")
    except Exception as error:  # not fatal: the results are saved
        note(f"report.html was not written: {error}")


class StudyProgress(Progress):
    """The progress line of a study; the time left is estimated from the speed of this process."""

    def __init__(self) -> None:
        super().__init__()
        self._remarks = set[str]()
        self._started = perf_counter()

    def update(self, work: float, work_left: float, figures: str, recorded: float = 0.0) -> None:
        """Show the work done, of which `recorded` was done in an earlier run, and the time left."""
        speed = (work - recorded) / (perf_counter() - self._started)
        left = time_left(work_left, speed) if work_left else "done"
        done = round(100 * work / (work + work_left)) if work + work_left else 0
        self.show(done / 100, f"{done} % | {left} | {figures}")

    def remark(self, kind: str, evaluation: Evaluation) -> None:
        """Print why a trial has no result, once per `kind` and status, at most N_REMARKS times."""
        key = f"{kind}: {evaluation.status}, "
        if evaluation.reason and key not in self._remarks and len(self._remarks) < N_REMARKS:
            self._remarks.add(key)
            note(f"{key}{evaluation.reason}")
