"""The study of a call from Python: new, or the one that is resumed."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from microgpt import ConfigError, checked, n_cpus
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import StudySettings
from microgpt_evolution.workers import Threads, Workers

S = TypeVar("S", bound=StudySettings)


@contextmanager
def open_in_python(
    run_dir: str | os.PathLike[str] | None,
    settings: S,
    workers: int | Workers | None = None,
) -> Iterator[tuple[Study[S], Workers]]:
    """Yield a study in a directory (default: a temporary one) and its workers; then end it."""
    if not isinstance(workers, Workers):
        workers = Threads(n_cpus() if workers is None else checked("workers", workers, int))
    with ExitStack() as stack:
        folder = run_dir or Path(stack.enter_context(TemporaryDirectory()), "run")
        directory = Path(folder).absolute()  # an objective may change the working directory
        if os.path.lexists(directory):
            study = Study[S].open(directory, type(settings))
        else:
            study = Study[S].begin(directory.parent, directory.name, settings, is_stamped=False)
        stack.enter_context(study)
        if more := _added(settings, study.settings, directory):
            study.change(**more)
        try:
            yield study, workers
        finally:
            if settings.has_function or settings.noun == "sweep":
                study.warn_of_failures()
        study.end()


def _added(new: StudySettings, old: StudySettings, directory: Path) -> dict[str, Any]:
    """Return the settings of which the study gets more; raise ConfigError for other changes."""
    own = [(name, value) for name, value in new if name not in new.facts]
    found = {name: value for name, value in own if value != getattr(old, name)}
    for name, value in found.items():
        known, is_more = getattr(old, name), name in new.more
        if is_more:
            is_more = value[: len(known)] == known if name == "seeds" else value > known
        if not is_more:
            raise ConfigError(
                f"{name} is {value!s:.80}, but the run in {directory} has {known!s:.80}; use "
                "another run_dir"
            )
    return found
