"""SIGTERM, which stops a command as Ctrl-C does, under its own name."""

import signal
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def stop_on_sigterm() -> None:
    """Raise Terminated wherever the process is when SIGTERM comes."""
    signal.signal(signal.SIGTERM, _terminate)


def ignore_signals() -> None:
    """Let nothing change how a command ends once it has said so."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
