"""SIGINT and SIGTERM as exceptions, raised again if a library swallows them."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPEAT_AFTER_S = 2.0  # time for cleanup after a stop


class Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


_recorded: list[int] = []  # signals received before `raise_signals`
_pending: list[type[KeyboardInterrupt]] = []  # stops that are not yet handled


def record_signals() -> None:
    """Record signals from now on; `raise_signals` raises them."""
    _handle(lambda signum, frame: _recorded.append(signum))
    sys.unraisablehook = _ignore_dropped_stops


def raise_signals() -> None:
    """Raise KeyboardInterrupt or Terminated on a signal, including one received before.

    Some libraries swallow every exception during their import, and Python drops exceptions raised
    in its own callbacks, such as that of an import lock: one start in 400 ignored the signal. So a
    stop is raised again until `clear_pending_stop` or `ignore_signals` is called.
    """
    _handle(_stop)
    if _recorded:
        _stop(_recorded.pop(), None)


def clear_pending_stop() -> None:
    """Stop raising a stop again: it has been handled, and the command continues."""
    _pending.clear()
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, 0)


def pending_stop() -> type[KeyboardInterrupt] | None:
    """Return the pending stop, if any: a library may have converted it to another error."""
    return _pending[0] if _pending else None


def ignore_signals() -> None:
    """Ignore signals from now on, so that they cannot change the exit code."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    clear_pending_stop()


def exception_of(signum: int) -> type[KeyboardInterrupt]:
    """Return the exception that a signal raises."""
    return Terminated if signum == signal.SIGTERM else KeyboardInterrupt


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # an ignored SIGINT stays ignored
        signal.signal(signal.SIGINT, handler)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signum))
        signal.setitimer(signal.ITIMER_REAL, REPEAT_AFTER_S)
    _pending.append(exception_of(signum))
    raise _pending[-1]


def _ignore_dropped_stops(dropped: "sys.UnraisableHookArgs") -> None:
    """Print no traceback for a stop that Python drops: it is raised again."""
    if not isinstance(dropped.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)


class StopRequest:
    """Records the first Ctrl-C or SIGTERM, so that work can be saved; the second one raises."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        """Create a request; `wake` is called on the first signal, to interrupt waiting code."""
        self.reason: type[KeyboardInterrupt] | None = None  # of the signal received, if any
        self._wake = wake
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.reason is not None

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.reason:
            raise exception_of(signum)
        self.reason = exception_of(signum)
        self._wake()
