"""A command on a pseudo-terminal of its own, driven with pexpect."""

import fcntl
import os
import pty
import subprocess
import termios
from typing import Any

import pexpect
from pexpect.fdpexpect import fdspawn

TIMEOUT_S = 60


def _control_terminal() -> None:
    """Let the terminal on stdin, if it is one, control the new session."""
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal(fdspawn):
    """A command that a pseudo-terminal controls."""

    def __init__(
        self, *command: object, size: tuple[int, int] = (24, 80), timeout=TIMEOUT_S, **options: Any
    ) -> None:
        """Start it, with stdout and stderr on the terminal unless `options` for Popen say else."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, size)
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen(
            list(map(str, command)),
            **{**streams, **options},
            start_new_session=True,
            preexec_fn=_control_terminal,
        )
        os.close(theirs)
        super().__init__(ours, encoding="utf-8", timeout=timeout)

    def sendintr(self) -> None:
        """Press Ctrl-C."""
        self.send("\x03")

    def exit_code(self) -> int:
        """Wait for the end, and return the exit code."""
        self.expect(pexpect.EOF)
        return self.process.wait(self.timeout)

    def hang_up(self) -> None:
        """Close the terminal."""
        super().close()

    def close(self) -> None:
        """End the command, if it has not ended."""
        self.process.kill()
        self.process.wait(self.timeout)
        super().close()
