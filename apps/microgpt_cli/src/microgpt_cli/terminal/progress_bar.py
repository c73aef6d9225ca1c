"""Show progress on stderr: one line that is rewritten on a terminal, else occasional lines."""

from collections import deque
from collections.abc import Iterable, Iterator
from math import inf, isfinite
from shutil import get_terminal_size
from statistics import fmean
from time import perf_counter
from typing import TYPE_CHECKING, Self, TypeVar

from microgpt import duration, running_time
from microgpt_cli.terminal.console import note, rewrites_lines, say, show_progress

if TYPE_CHECKING:
    from microgpt import Place, TrainEvent

T = TypeVar("T")

N_LINES = 10  # number of progress lines if stderr is not a terminal; more if the work is slow
LINE_INTERVAL_S, MAX_SILENCE_S = 1.0, 30.0  # minimum and maximum time between progress lines
REDRAW_S = 0.1  # minimum time between rewrites of the line on a terminal
LOSS_WINDOW = 100  # number of steps over which the loss is averaged


class Progress:
    """A progress line, which is rewritten in place on a terminal.

    If stderr is not a terminal, a new line is printed after every 10 % of the work, or after 30 s.
    """

    def __init__(self) -> None:
        self._tenth = 0  # completed tenths of the work when the last line was shown
        self._shown_at = -inf if rewrites_lines() else perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def show(self, share: float, line: str) -> None:
        """Show a line if one is due; `share` is the completed fraction of the work."""
        now, tenth, is_live = perf_counter(), int(share * N_LINES), rewrites_lines()
        interval = LINE_INTERVAL_S if tenth > self._tenth else MAX_SILENCE_S
        if now - self._shown_at < (REDRAW_S if is_live else interval):
            return
        self._tenth, self._shown_at = tenth, now
        if is_live:
            show_progress(line[: get_terminal_size().columns - 1])
        else:
            say(line)

    def stop(self) -> None:
        """Remove the progress line from a terminal; `show` can draw it again."""
        show_progress("")


class TrainingProgress(Progress):
    """The progress line of a training run: step, time left, losses and speed.

    In an ensemble, the steps of all models are counted together.
    """

    def __init__(self, place: "Place | None" = None, mark: str = "") -> None:
        """`place` locates the model in an ensemble; `mark` is printed after the held-out loss."""
        super().__init__()
        self._model, self._before, self._after = place[:3] if place else ("", 0, 0)
        self._mark, self._total = mark, 0
        self._losses = deque[float](maxlen=LOSS_WINDOW)
        self._val_loss: float | None = None
        self._began: float | None = None  # seconds of training before the first event
        self._n_steps, self._n_tokens = 0, 0  # numbers of steps and tokens since the first event

    def update(self, event: "TrainEvent") -> None:
        """Update the line after a training event; print a note if the number of steps changed."""
        self._losses.extend(filter(isfinite, event.losses))  # skip NaN, from steps without targets
        if event.val_loss is not None:
            self._val_loss = event.val_loss
        if self._began is None:
            self._began = event.seconds
        else:
            self._n_steps += len(event.losses)
            self._n_tokens += event.n_tokens
        step, total = event.step + self._before, event.steps + self._before + self._after
        if self._total not in (0, total):
            note(f"to use the given time, the run now has {total:,} steps")
        self._total = total
        seconds = max(event.seconds - self._began, 1e-9)
        whose = f" of all models, {self._model}" if self._model else ""
        left = time_left(total - step, self._n_steps / seconds)
        figures = [f"step {step:4d} / {total:4d}{whose}", left]
        if self._losses:  # none yet if a resumed run starts with an evaluation
            figures.append(f"mean loss {fmean(self._losses):.3f}, last {self._losses[-1]:.3f}")
        if self._val_loss is not None:
            figures.append(f"held out {self._val_loss:.3f}{self._mark}")
        figures.append(f"{self._n_tokens / seconds:,.0f} tokens/s")
        self.show(step / total, " | ".join(figures))


def with_progress(work: Iterable[T], n: int, what: str) -> Iterator[T]:
    """Yield the n results of an iterable, and show a progress line that counts them as `what`."""
    started = running_time()
    with Progress() as progress:
        progress.show(0, f"0 / {n:,} {what}")
        for i, result in enumerate(work, start=1):
            yield result
            left = time_left(n - i, i / max(running_time() - started, 1e-9))
            progress.show(i / n, f"{i:,} / {n:,} {what} | {left}")


def time_left(n: float, per_s: float) -> str:
    """Format the time left for n items at per_s items per second; a rate of 0 means unknown."""
    return f"{duration(round(n / per_s))} left" if per_s else "? left"
