"""A command on a pseudo-terminal of its own, driven with pexpect."""

import os
import pty
import termios
from typing import Any

import fork_server
import pexpect
from pexpect.fdpexpect import fdspawn

TIMEOUT_S = 60


class Terminal(fdspawn):
    """A command in a fork that a pseudo-terminal controls."""

    def __init__(
        self, *command: object, size: tuple[int, int] = (24, 80), timeout=TIMEOUT_S, **options: Any
    ) -> None:
        """Start it, with stdout and stderr on the terminal unless `options` for Popen say else."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, size)
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = fork_server.Popen(
            list(map(str, command)), **{**streams, **options}, start_new_session=True
        )
        os.close(theirs)
        super().__init__(ours, encoding="utf-8", timeout=timeout)

    def sendintr(self) -> None:
        """Press Ctrl-C."""
        self.send("\x03")

    def sendeof(self) -> None:
        """Press Ctrl-D."""
        self.send("\x04")

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
