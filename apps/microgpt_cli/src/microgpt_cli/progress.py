"""What is told on stderr while something long runs: a bar on a terminal, else sparse lines."""

import sys
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from microgpt_cli.streams import say

if TYPE_CHECKING:
    from rich.progress import Progress

    from microgpt.state import TrainEvent

N_LINES = 10  # of a whole training, at most, where stderr is no terminal
LINE_INTERVAL_S = 1.0  # between two of them, at least


def step_line(step: int, steps: int, loss: float) -> str:
    """Return the line of a training step, as Karpathy prints it."""
    return f"step {step:4d} / {steps:4d} | loss {loss:.4f}"


class TrainingProgress:
    """Follows the events of one training: step, loss, speed and time left.

    Attributes:
        step: the last step that was reported.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._bar = _make_bar(steps)
        self.restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()

    def restart(self) -> None:
        """Take the bar away, and follow another training, which begins now."""
        self.step = 0
        self._started = self._last_line = perf_counter()
        self.stop()

    def stop(self) -> None:
        """Take the bar away, so that something else can be printed."""
        if self._bar:
            self._bar.stop()

    def update(self, event: "TrainEvent") -> None:
        """Show how far the training is."""
        now = perf_counter()
        tenth_before, self.step = self.step * N_LINES // self._steps, event.step
        speed = f"{event.step / (now - self._started):.0f} steps/s"
        if self._bar:
            self._bar.start()
            text = f"loss {event.losses[-1]:.4f} | {speed}"
            self._bar.update(self._bar.task_ids[0], completed=event.step, text=text)
        elif event.step * N_LINES // self._steps > tenth_before and (
            now - self._last_line >= LINE_INTERVAL_S
        ):
            self._last_line = now
            left = (now - self._started) / event.step * (self._steps - event.step)
            line = step_line(event.step, self._steps, event.losses[-1])
            say(f"{line} | {speed} | {left:.0f} s left")


def _make_bar(steps: int) -> "Progress | None":
    if not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if console.is_dumb_terminal:  # it cannot redraw a line
        return None
    bar = Progress(
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,  # it would send the results to stderr
    )
    bar.add_task("step", total=steps, text="")
    return bar
