"""Progress of a search on stderr, and its log."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import Self

from microgpt import cannot_write
from microgpt_cli.terminal.console import print_or_discard, say
from microgpt_cli.terminal.progress import ProgressBar, short, time_left
from microgpt_evolution.organism import Organism
from microgpt_evolution.search.log import describe
from microgpt_evolution.search.runner import Listener, SearchEvent, SearchRunner

N_FAILURES = 3  # maximum number of printed failures; the run records all of them


class SearchProgress(ProgressBar, Listener):
    """Progress of a search: generations, champions, species, speed and time left."""

    def __init__(self, generations: int) -> None:
        super().__init__("generation", generations)
        self._before: SearchEvent | None = None
        self._started, self._n_evaluated, self._n_failed = perf_counter(), 0, 0

    def evaluated(self, run: SearchRunner, organism: Organism) -> None:
        """Print a line for an organism that crashed or was refused, up to N_FAILURES times."""
        evaluation = organism.evaluation
        if evaluation and evaluation.status in ("crashed", "refused"):
            self._n_failed += 1
            if self._n_failed <= N_FAILURES:
                self.stop()
                say(describe(organism))

    def update(self, event: SearchEvent) -> None:
        """Show the state of the search after an event."""
        before, self._before = self._before, event
        if before and event.n_done > before.n_done and event.stage == before.stage:
            self._n_evaluated += 1
        rate = self._n_evaluated / (perf_counter() - self._started)
        left = time_left(event.n_all - event.n_done + event.n_later, rate)
        bests = sorted(event.champions.items())  # they come as their evaluations end
        best = ", ".join(f"{name} {o.worth:.4f}" for name, o in bests)
        best = best.lower() or "no champion yet"
        what = "retests" if event.stage == "again" else "organisms"
        measured = f"{event.n_done} of {event.n_all} {what}, {event.n_species} species"
        if event.stagnation is not None:
            measured += f", stagnation {event.stagnation}"
        ended = max(0, event.generation - (event.stage == "generation"))
        line = f"generation {ended} / {self._total} | {best} | {left}"
        self.show(ended, left, line, f"{best} | {measured} | {short(rate)} organisms/s")


class SearchLog:
    """Writes lines to the log file and stdout, and hides the progress while printing."""

    def __init__(self, path: Path, progress: SearchProgress) -> None:
        self._path, self._progress = path, progress
        with self._writing():
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        with suppress(OSError):  # write errors have already been reported
            self._file.close()

    def __call__(self, line: str) -> None:
        """Print and write a line; raise CheckpointError if the log cannot be written."""
        self._progress.stop()
        print_or_discard(line)
        with self._writing():
            self._file.write(f"{line}\n")
            self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._path.parent, error) from error
