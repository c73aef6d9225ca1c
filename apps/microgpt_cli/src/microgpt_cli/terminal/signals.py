"""SIGTERM stops a command as Ctrl-C does, under its own name; and neither is ever lost."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, Self

REPEAT_AFTER_S = 0.01  # one that Python has dropped
REPEAT_SWALLOWED_AFTER_S = 2.0  # one that nobody has obeyed yet, who may still be cleaning up


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


_early: list[int] = []  # stops that came before anything could be made of them
_asked: list[type[KeyboardInterrupt]] = []  # those that nobody has obeyed yet


def listen() -> None:
    """From now on, lose no stop; from `obey` on, obey it."""
    _handle(lambda signum, frame: _early.append(signum))
    sys.unraisablehook = _repeat_what_was_dropped


def obey() -> None:
    """Raise KeyboardInterrupt or Terminated wherever the process is when one comes, or has come.

    A library that swallows all exceptions, as some do while they are imported, would make the
    process deaf: so it comes again, until `obeyed` is called or listening ends.
    """
    _handle(_stop)
    if _early:
        _stop(_early.pop(), None)


def obeyed() -> None:
    """Do not repeat a stop: what was asked for is done, and the command goes on."""
    _asked.clear()
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def asked() -> type[KeyboardInterrupt] | None:
    """Return what has come and was not obeyed: a library may have made another error of it."""
    return _asked[0] if _asked else None


def stop_listening() -> None:
    """Let no signal change how a command ends once it has said so."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "setitimer"):  # one that was to be repeated, too
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # else it is to be ignored
        signal.signal(signal.SIGINT, handler)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    _repeat(signum, REPEAT_SWALLOWED_AFTER_S)
    _asked.append(Terminated if signum == signal.SIGTERM else KeyboardInterrupt)
    raise _asked[-1]


def _repeat(signum: int, after_s: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signum))
        signal.setitimer(signal.ITIMER_REAL, after_s)


def _repeat_what_was_dropped(dropped: "sys.UnraisableHookArgs") -> None:
    """Raise a stop again in a moment: Python drops one that comes inside a callback of its own.

    Such as that of the lock of a module that is being imported: one start in 400 was deaf.
    """
    stop = dropped.exc_value
    if not isinstance(stop, KeyboardInterrupt) or not hasattr(signal, "setitimer"):
        sys.__unraisablehook__(dropped)
        return
    number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
    _repeat(number, REPEAT_AFTER_S)


class StopRequest:
    """While it is entered, the first Ctrl-C or SIGTERM is only noted, so that work can be saved.

    The second one ends the command at once.

    Attributes:
        reason: what has come, if anything has.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        """Prepare to take note.

        Args:
            wake: is called when the first one has come, for work that waits for something else.
        """
        self.reason: type[KeyboardInterrupt] | None = None
        self._wake = wake
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.reason is not None

    def _note(self, signum: int, frame: FrameType | None) -> None:
        reason = Terminated if signum == signal.SIGTERM else KeyboardInterrupt
        if self.reason:
            raise reason
        self.reason = reason
        self._wake()
