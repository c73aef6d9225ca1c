"""Convert SIGINT and SIGTERM to exceptions, or record them until work is saved."""

import signal
import time
from types import FrameType
from typing import Any, NoReturn, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPEATED_S = 0.3  # a signal so soon after the first is its copy: `uv run` passes signals on


class Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


def raise_on_sigterm() -> None:
    """Raise Terminated on SIGTERM, as Python raises KeyboardInterrupt on SIGINT."""
    signal.signal(signal.SIGTERM, _terminate)


def ignore_signals() -> None:
    """Ignore further signals, which could change the exit code."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


class StopRequest:
    """Records the first Ctrl-C or SIGTERM, so that work can be saved. A later signal raises."""

    def __init__(self) -> None:
        self.reason: type[KeyboardInterrupt] | None = None  # exception of the first signal
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
        reason = Terminated if signum == signal.SIGTERM else KeyboardInterrupt
        if self.reason:
            if time.monotonic() > self._received + REPEATED_S:
                raise reason
            return
        self.reason = reason
        self._received = time.monotonic()
