"""Convert SIGINT and SIGTERM to exceptions, which are raised again if a library swallows them."""

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPEAT_AFTER_S = 2.0  # time allowed for cleanup before the exception is raised again
REPEATED_S = 0.3  # a signal so soon after the first is its copy: `uv run` passes signals on


class Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


_recorded: list[int] = []  # signals received before `raise_signals` was called
_pending: list[type[KeyboardInterrupt]] = []  # exceptions that have been raised but not handled


def record_signals() -> None:
    """Record signals until `raise_signals` is called."""
    _handle(lambda signum, frame: _recorded.append(signum))
    sys.unraisablehook = _ignore_dropped_stops


def raise_signals() -> None:
    """Raise KeyboardInterrupt or Terminated on signals, including a signal recorded earlier.

    Some libraries swallow all exceptions during import, and Python drops exceptions in callbacks
    such as those of import locks. Without repetition, 1 in 400 starts ignored the signal, so the
    exception is raised again until `clear_pending_stop` or `ignore_signals` is called.
    """
    _handle(_stop)
    if _recorded:
        _stop(_recorded.pop(), None)


def clear_pending_stop() -> None:
    """Mark the pending exception as handled, so that it is not raised again."""
    _pending.clear()
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, 0)


def pending_stop() -> type[KeyboardInterrupt] | None:
    """Return the type of the pending exception, or None if no exception is pending."""
    return _pending[0] if _pending else None


def ignore_signals() -> None:
    """Ignore further signals, which could change the exit code."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    clear_pending_stop()


def exception_of(signum: int) -> type[KeyboardInterrupt]:
    """Return the exception type of a signal."""
    return Terminated if signum == signal.SIGTERM else KeyboardInterrupt


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # keep an ignored SIGINT ignored
        signal.signal(signal.SIGINT, handler)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signum))
        signal.setitimer(signal.ITIMER_REAL, REPEAT_AFTER_S)
    _pending.append(exception_of(signum))
    raise _pending[-1]


def _ignore_dropped_stops(dropped: "sys.UnraisableHookArgs") -> None:
    """Suppress the traceback of a dropped KeyboardInterrupt, which will be raised again."""
    if not isinstance(dropped.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)


class StopRequest:
    """Records the first Ctrl-C or SIGTERM, so that work can be saved. A later signal raises."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        """Create a request; `wake` is called on the first signal, to interrupt waiting code."""
        self.reason: type[KeyboardInterrupt] | None = None  # exception of the first signal
        self._wake = wake
        self._received = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Return whether a signal was received."""
        return self.reason is not None

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.reason:
            if time.monotonic() > self._received + REPEATED_S:
                raise exception_of(signum)
            return
        self.reason, self._received = exception_of(signum), time.monotonic()
        self._wake()
