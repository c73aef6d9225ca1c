"""What is told on stderr while something long runs: a bar on a terminal, else sparse lines."""

import sys
from collections import deque
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from microgpt_cli.terminal.console import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, RenderableType
    from rich.progress import Progress

    from microgpt.state import TrainEvent

T = TypeVar("T")

N_LINES = 10  # of a whole training, at most, where stderr is no terminal
LINE_INTERVAL_S = 1.0  # between two of them, at least
SMOOTHED = 100  # steps: the shown loss is a running mean over about so many
SPEED_OVER_S = 5.0  # the speed is that of the last seconds


def step_line(step: int, steps: int, loss: float) -> str:
    """Return the line of a training step, as Karpathy prints it."""
    return f"step {step:4d} / {steps:4d} | loss {loss:.4f}"


class TrainingProgress:
    """Follows the events of one training: step, losses, speed and time left.

    Attributes:
        step: the last step that was reported.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._bar: Progress | None = None
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

    def restart(self, step: int = 0) -> None:
        """Take the bar away, and follow another training, which begins or goes on now."""
        self.step = step
        self._last_line = perf_counter()
        self._losses = _RunningMean()
        self._speed = _Speed()
        self._val_loss: float | None = None
        self.stop()
        self._bar = _make_bar(self._steps)  # an old one would draw over what is printed by then

    def stop(self) -> None:
        """Take the bar away, so that something else can be printed."""
        if self._bar:
            self._bar.stop()

    def update(self, event: "TrainEvent") -> None:
        """Show how far the training is."""
        tenth_before, self.step = self.step * N_LINES // self._steps, event.step
        self._losses.add(event.losses)
        self._speed.add(len(event.losses), event.n_docs, event.n_tokens)
        if event.val_loss is not None:
            self._val_loss = event.val_loss
        if self._bar:
            self._bar.start()
            self._bar.update(
                self._bar.task_ids[0],
                completed=event.step,
                figures=f"{self._loss_text()} | {self._speed.text()}",
                left=self._speed.left(self._steps - event.step),
            )
        elif event.step * N_LINES // self._steps > tenth_before and (
            perf_counter() - self._last_line >= LINE_INTERVAL_S
        ):
            self._last_line = perf_counter()
            say(
                f"step {event.step:4d} / {self._steps:4d} | {self._loss_text()} | "
                f"{self._speed.text()} | {self._speed.left(self._steps - event.step)}"
            )

    def _loss_text(self) -> str:
        text = f"loss {self._losses.mean:.3f} (last {self._losses.last:.3f})"
        return text if self._val_loss is None else f"{text} | held out {self._val_loss:.3f}"


class _RunningMean:
    """The mean of the last losses, of which older ones count less and less."""

    def __init__(self) -> None:
        self.last = self.mean = 0.0
        self._n = 0

    def add(self, losses: "Sequence[float]") -> None:
        """Take more of them."""
        for loss in losses:
            self._n += 1
            self.mean += (loss - self.mean) / min(self._n, SMOOTHED)
            self.last = loss


class _Speed:
    """How fast it went in the last seconds."""

    def __init__(self) -> None:
        self._totals = deque([(perf_counter(), 0, 0, 0)])

    def add(self, n_steps: int, n_docs: int, n_tokens: int) -> None:
        """Count what has just been done."""
        _, *before = self._totals[-1]
        added = (n_steps, n_docs, n_tokens)
        steps, docs, tokens = (old + new for old, new in zip(before, added, strict=True))
        now = perf_counter()
        self._totals.append((now, steps, docs, tokens))
        while len(self._totals) > 2 and self._totals[1][0] < now - SPEED_OVER_S:
            self._totals.popleft()

    def text(self) -> str:
        """Return the speed in documents and in tokens."""
        _, docs, tokens = self._rates()
        return f"{short(docs)} docs/s, {short(tokens)} tokens/s"

    def left(self, n_steps: int) -> str:
        """Return how long so many steps will take."""
        steps = self._rates()[0]
        return f"{duration(n_steps / steps)} left" if steps else "? left"

    def _rates(self) -> list[float]:
        (start, *first), (end, *last) = self._totals[0], self._totals[-1]
        seconds = max(end - start, 1e-9)
        return [(b - a) / seconds for a, b in zip(first, last, strict=True)]


def followed(work: "Iterable[T]", n: int, what: str) -> "Iterator[T]":
    """Yield what some work yields, and show how much of it has come.

    Args:
        work: yields n times.
        n: how often.
        what: it yields.
    """
    if console := _console():
        from rich.progress import track

        yield from track(work, what, total=n, console=console, transient=True)
        return
    last_line = perf_counter()
    for i, result in enumerate(work, start=1):
        yield result
        if i * N_LINES // n > (i - 1) * N_LINES // n and (
            perf_counter() - last_line >= LINE_INTERVAL_S
        ):
            last_line = perf_counter()
            say(f"{i:,} / {n:,} {what}")


def short(number: float) -> str:
    """Return a number in three digits."""
    for divisor, letter in ((1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * divisor:  # three digits round it up
            return f"{number / divisor:.3g}{letter}"
    return f"{number:.3g}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def _make_bar(steps: int) -> "Progress | None":
    console = _console()
    if console is None:
        return None
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.text import Text

    class TwoLines(Progress):
        """The bar, and below it the figures: together they would not fit into a line."""

        def get_renderables(self) -> "Iterator[RenderableType]":
            yield self.make_tasks_table(self.tasks)
            for task in self.tasks:
                yield Text(task.fields["figures"], overflow="ellipsis", no_wrap=True)

    bar = TwoLines(
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
        expand=True,
        redirect_stdout=False,  # it would send the results to stderr
    )
    bar.add_task("step", total=steps, figures="", left="")
    return bar


def _console() -> "Console | None":
    """Return stderr as rich sees it, or None where nothing can be redrawn."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return None if console.is_dumb_terminal else console  # it cannot redraw a line
