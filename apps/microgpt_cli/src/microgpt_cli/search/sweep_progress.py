"""How far a sweep is, on stderr: a bar on a terminal, else sparse lines."""

import sys
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from microgpt_cli.terminal.console import note, say
from microgpt_cli.terminal.progress import N_LINES, duration
from microgpt_evolution.sweep.config import SweepConfig, differing
from microgpt_evolution.sweep.result import SweepResult

if TYPE_CHECKING:
    from rich.progress import Progress


class SweepProgress:
    """Follows the trainings of a sweep; how long each takes goes by its operations."""

    def __init__(self, todo: dict[tuple[SweepConfig, int], int]) -> None:
        """Begin.

        Args:
            todo: the operations of each training that is to be made.
        """
        self._todo, self._n_all, self._flops_left = todo, len(todo), sum(todo.values())
        self._n_done = self._flops_done = 0
        self._names = differing(point for point, _ in todo)
        self._told: set[tuple[SweepConfig, str | None]] = set()
        self._started = perf_counter()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop()

    def update(self, result: SweepResult) -> None:
        """Show that a training has ended; tell why, once a point, if not well."""
        flops = self._todo[result.point, result.seed]
        tenth_before = self._n_done * N_LINES // self._n_all
        self._n_done += 1
        self._flops_left -= flops
        if result.is_ok:
            self._flops_done += flops
        else:
            self._tell(result)
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=self._n_done, left=self._left())
        elif self._n_done * N_LINES // self._n_all > tenth_before:
            say(f"training {self._n_done} / {self._n_all} | {self._left()}")

    def _tell(self, result: SweepResult) -> None:
        if (result.point, result.reason) not in self._told:
            self._told.add((result.point, result.reason))
            self._stop()
            which = result.point.describe(self._names) or "it"
            note(f"{which}: {result.status}, {result.reason}")
            self._start()

    def _left(self) -> str:
        if not self._flops_left:
            return "done"
        if not self._flops_done:
            return "? left"
        seconds = perf_counter() - self._started
        return f"{duration(self._flops_left / self._flops_done * seconds)} left"

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _start(self) -> None:
        self._bar = _make_bar(self._n_all, self._n_done, self._left())


def _make_bar(n_all: int, n_done: int, left: str) -> "Progress | None":
    """Return a bar that is shown, or None where nothing can be redrawn."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if console.is_dumb_terminal:
        return None
    bar = Progress(
        TextColumn("training"),
        MofNCompleteColumn(),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
        expand=True,
        redirect_stdout=False,  # it would send the results to stderr
        redirect_stderr=False,
    )
    bar.add_task("training", total=n_all, completed=n_done, left=left)
    bar.start()
    return bar
