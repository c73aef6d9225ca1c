"""The study of a call from Python: new, or the one that is resumed."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from microgpt import checked, n_cpus
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
        study.extend({name: value for name, value in settings if name not in settings.facts})
        try:
            yield study, workers
        finally:
            if settings.has_function or settings.noun == "sweep":
                study.warn_of_failures()
        study.end()
