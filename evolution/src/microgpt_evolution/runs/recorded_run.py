"""Read the records of a search without holding or changing them, also while it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt_evolution.errors import RunError
from microgpt_evolution.runs.evaluation_record import EvaluationRecord, decode
from microgpt_evolution.runs.records import IMPORTED_FROM, SWEEP
from microgpt_evolution.runs.run_directory import read_settings, whole_lines


@dataclass(frozen=True)
class RecordedRun:
    """The settings and evaluations of a search."""

    directory: Path
    settings: dict[str, Any]
    entries: tuple[EvaluationRecord, ...]  # in the order in which they ended

    @property
    def is_imported(self) -> bool:
        """Whether it was made of a log, which does not know all."""
        return IMPORTED_FROM in self.settings


def read_recorded(path: Path) -> RecordedRun:
    """Return what is on record of a search. A last line that was torn is left out.

    Args:
        path: the directory of the run, or the log beside it.

    Raises:
        RunError: there is no run, it is a sweep or damaged, or nothing has been evaluated yet.
    """
    directory = path.with_suffix("") if path.suffix == ".log" else path
    settings = read_settings(directory)
    if SWEEP in settings:
        raise RunError(f"{directory} is a sweep, and no run of evolution")
    entries = tuple(decode(line, where, settings) for where, line in whole_lines(directory))
    if not entries:
        raise RunError(f"{directory} has no evaluation yet; try again in a while")
    return RecordedRun(directory, settings, entries)
