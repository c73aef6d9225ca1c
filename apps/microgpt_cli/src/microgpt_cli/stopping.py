"""SIGTERM stops a command as Ctrl-C does, under its own name; and neither is ever lost."""

import signal
import sys
from types import FrameType
from typing import Any, NoReturn, Self

REPEAT_AFTER_S = 0.01


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def listen() -> None:
    """From now on, raise Terminated wherever the process is when SIGTERM comes."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _repeat_what_was_dropped


def stop_listening() -> None:
    """Let no signal change how a command ends once it has said so."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "setitimer"):  # one that was to be repeated, too
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _repeat_what_was_dropped(dropped: "sys.UnraisableHookArgs") -> None:
    """Raise a stop again in a moment: Python drops one that comes inside a callback of its own.

    Such as that of the lock of a module that is being imported: one start in 400 was deaf.
    """
    stop = dropped.exc_value
    if not isinstance(stop, KeyboardInterrupt) or not hasattr(signal, "setitimer"):
        sys.__unraisablehook__(dropped)
        return
    number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
    signal.setitimer(signal.ITIMER_REAL, REPEAT_AFTER_S)


class StopRequest:
    """While it is entered, the first Ctrl-C or SIGTERM is only noted, so that work can be saved.

    The second one ends the command at once.

    Attributes:
        reason: what has come, if anything has.
    """

    def __init__(self) -> None:
        self.reason: type[KeyboardInterrupt] | None = None
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
