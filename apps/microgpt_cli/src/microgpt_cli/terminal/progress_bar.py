"""Show progress on stderr: a bar on a terminal, otherwise a few lines."""

import sys
from collections.abc import Collection, Iterable, Iterator
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Self, TypeVar

from microgpt import duration
from microgpt_cli.terminal.console import note, say

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

    from microgpt import DType, EngineName, Place, TrainEvent, Use

T = TypeVar("T")

N_LINES = 10  # number of progress lines if stderr is not a terminal, and more in long work
LINE_INTERVAL_S, MAX_SILENCE_S = 1.0, 30.0  # minimum and maximum time between progress lines
LOSS_WINDOW = 100  # number of steps in the running mean of the loss
ACCENT = "cyan"  # rich's own bar is red


class ProgressBar:
    """Progress bar on a terminal; elsewhere, a line per 10 % of the work or per half minute."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._console = rich_console()
        self._bar: Progress | None = None
        self._last_line = perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def show(self, done: int, left: str, line: str, figures: str = "") -> None:
        """Update the bar, time left and figures; without a terminal, print `line` if it is due."""
        tenth_before, self._done = self._done * N_LINES // self._total, done
        silence = perf_counter() - self._last_line
        if self._console:
            self._bar = self._bar or _make_bar(self._console, self._what, self._total)
            self._bar.update(self._bar.task_ids[0], completed=done, left=left, figures=figures)
            self._bar.start()
        elif silence >= (
            LINE_INTERVAL_S if done * N_LINES // self._total > tenth_before else MAX_SILENCE_S
        ):
            self._last_line = perf_counter()
            say(line)

    def stop(self) -> None:
        """Hide the bar until the next update."""
        if self._bar:
            self._bar.stop()
        self._bar = None  # a restarted bar would overwrite lines printed in the meantime


class TrainingProgress(ProgressBar):
    """Progress of a training run: step, losses, speed and time left.

    The steps of an ensemble are those of all models.
    """

    def __init__(self, place: "Place | None" = None, mark: str = "") -> None:
        """Prepare the progress; `mark` is that of the held-out losses."""
        super().__init__("step", 0)
        self._model, self._before, self._after = place[:3] if place else ("", 0, 0)
        self._mark = mark
        self._n_losses, self._mean_loss, self._last_loss = 0, 0.0, 0.0
        self._val_loss: float | None = None
        self._began, self._n_done = 0.0, (0, 0, 0)  # steps, documents and tokens since then

    def update(self, event: "TrainEvent") -> None:
        """Show the progress after a training event."""
        for loss in filter(isfinite, event.losses):  # NaN: a step without targets
            self._n_losses += 1
            self._mean_loss += (loss - self._mean_loss) / min(self._n_losses, LOSS_WINDOW)
            self._last_loss = loss
        if event.val_loss is not None:
            self._val_loss = event.val_loss
        step, steps = event.step + self._before, event.steps + self._before + self._after
        if is_first := not self._total:
            self._total, self._done = steps, step - len(event.losses)
        if steps != self._total:
            self.stop()
            note(f"the run now ends at step {steps:,}, not {self._total:,}")
            self._total = steps
        steps_per_s, docs_per_s, tokens_per_s = self._speed(event, is_first=is_first)
        figures = f"{docs_per_s:,.0f} docs/s, {tokens_per_s:,.0f} tokens/s"
        if self._val_loss is not None:
            figures = f"held out {self._val_loss:.3f}{self._mark} | {figures}"
        if self._n_losses:  # a resumed run may start with an evaluation
            figures = f"mean loss {self._mean_loss:.3f}, last {self._last_loss:.3f} | {figures}"
        if self._model:
            figures = f"{self._model} | {figures}"
        left = time_left(self._total - step, steps_per_s)
        line = f"step {step:4d} / {self._total:4d} | {figures} | {left}"
        self.show(step, left, line, figures)

    def _speed(self, event: "TrainEvent", *, is_first: bool) -> list[float]:
        """Return steps, documents and tokens per second since the first event."""
        if is_first or event.seconds < self._began:  # the run began again
            self._began, self._n_done = event.seconds, (0, 0, 0)
        else:
            steps, docs, tokens = self._n_done
            steps += len(event.losses)
            self._n_done = steps, docs + event.n_docs, tokens + event.n_tokens
        seconds = max(event.seconds - self._began, 1e-9)
        return [n / seconds for n in self._n_done]


def with_progress(work: Iterable[T], n: int, what: str) -> Iterator[T]:
    """Yield the n results of an iterable, and show the progress."""
    started = perf_counter()
    with ProgressBar(what, n) as bar:
        bar.show(0, "? left", "")
        for i, result in enumerate(work, start=1):
            yield result
            left = time_left(n - i, i / max(perf_counter() - started, 1e-9))
            bar.show(i, left, f"{i:,} / {n:,} {what}")


def time_left(n: float, per_s: float) -> str:
    """Format the time left for n items at per_s items per second; a rate of 0 means unknown."""
    return f"{duration(round(n / per_s))} left" if per_s else "? left"


def load_kernels(engine: "EngineName | None", *dtypes: "DType", uses: "Collection[Use]") -> float:
    """Load the kernels of an engine, by default the default engine, with a note on a compilation.

    Return the seconds that the compilation took, or 0 if there was none.
    """
    from microgpt import prepare_engine

    return prepare_engine(engine, *dtypes, uses=uses, tell=note)


def rich_console() -> "Console | None":
    """Return a rich console for stderr, or None if stderr cannot redraw lines."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return None if console.is_dumb_terminal else console


def _make_bar(console: "Console", what: str, total: int) -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.text import Text

    class WithFigures(Progress):
        """Progress bar, with the figures below it: on a narrow terminal, on several lines."""

        def get_renderables(self) -> "Iterator[RenderableType]":
            yield self.make_tasks_table(self.tasks)
            for task in self.tasks:  # no tasks until rich has created the bar
                if task.fields["figures"]:
                    yield Text(task.fields["figures"])

    bar = WithFigures(
        TextColumn(what),
        MofNCompleteColumn(),
        BarColumn(bar_width=None, complete_style=ACCENT, finished_style=ACCENT),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
        expand=True,
        redirect_stdout=False,  # otherwise rich sends the results to stderr
    )
    bar.add_task(what, total=total, figures="", left="")
    return bar
