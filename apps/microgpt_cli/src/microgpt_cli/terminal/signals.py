"""SIGINT and SIGTERM as exceptions that no library can swallow for good."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, Self

STOPS = (signal.SIGINT, signal.SIGTERM)
REPEAT_AFTER_S = 2.0  # whoever has caught a stop may still be cleaning up


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


_early: list[int] = []  # stops that came before anything could be made of them
_asked: list[type[KeyboardInterrupt]] = []  # those that nobody has obeyed yet


def listen() -> None:
    """From now on, lose no stop; from `obey` on, obey it."""
    _handle(lambda signum, frame: _early.append(signum))
    sys.unraisablehook = _ignore_dropped_stops


def obey() -> None:
    """Raise KeyboardInterrupt or Terminated wherever the process is when one comes, or has come.

    Some libraries swallow every exception while they are imported, and Python drops one that is
    raised in a callback of its own, such as that of an import lock: one start in 400 was deaf. So
    a stop is raised again until `obeyed` or `stop_listening` is called.
    """
    _handle(_stop)
    if _early:
        _stop(_early.pop(), None)


def obeyed() -> None:
    """Do not repeat a stop: what was asked for is done, and the command goes on."""
    _asked.clear()
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, 0)


def asked() -> type[KeyboardInterrupt] | None:
    """Return what has come and was not obeyed: a library may have made another error of it."""
    return _asked[0] if _asked else None


def stop_listening() -> None:
    """Let no signal change how a command ends once it has said so."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    obeyed()


def exception_of(signum: int) -> type[KeyboardInterrupt]:
    """Return what a signal raises."""
    return Terminated if signum == signal.SIGTERM else KeyboardInterrupt


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # else it is to be ignored
        signal.signal(signal.SIGINT, handler)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signum))
        signal.setitimer(signal.ITIMER_REAL, REPEAT_AFTER_S)
    _asked.append(exception_of(signum))
    raise _asked[-1]


def _ignore_dropped_stops(dropped: "sys.UnraisableHookArgs") -> None:
    """Print no traceback for a stop that Python drops: it is raised again."""
    if not isinstance(dropped.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)


class StopRequest:
    """Only notes the first Ctrl-C or SIGTERM, so that work can be saved; the second one stops."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        """Have `wake` called when the first one comes, for work that waits for something else."""
        self.reason: type[KeyboardInterrupt] | None = None  # what has come, if anything has
        self._wake = wake
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in STOPS:
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
