"""Run a command on a separate pseudo-terminal with pexpect."""

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
    """Make the terminal on stdin, if any, the controlling terminal of the new session."""
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal(fdspawn):
    """A command that runs on a pseudo-terminal."""

    def __init__(
        self, *command: object, size: tuple[int, int] = (24, 80), timeout=TIMEOUT_S, **options: Any
    ) -> None:
        """Start the command; `options` are passed to Popen and can redirect stdout and stderr."""
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
        """Send Ctrl-C to the command through its terminal."""
        self.send("\x03")

    def exit_code(self) -> int:
        """Wait until the command ends, and return the exit code."""
        self.expect(pexpect.EOF)
        return self.process.wait(self.timeout)

    def hang_up(self) -> None:
        """Close the terminal, as if its window were closed."""
        super().close()

    def close(self) -> None:
        """Kill the command if it is still running, and close the terminal."""
        self.process.kill()
        self.process.wait(self.timeout)
        super().close()
