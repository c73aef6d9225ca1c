"""The input of a chat: a pipe, or a terminal with Python's readline."""

import atexit
import sys
from contextlib import suppress

from platformdirs import user_state_path

from microgpt_cli.terminal.console import styled

MAX_HISTORY = 1000  # number of messages that are kept for later sessions


class ChatInput:
    """Reads messages from a pipe, or from a terminal where they can be edited and recalled."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        if is_terminal:
            _edit_lines()

    def ask(self) -> str:
        """Return the next message; raise EOFError at the end of the input."""
        if not self._is_terminal:
            if line := sys.stdin.readline():
                return line
            raise EOFError
        try:
            return input("you> ")
        except (EOFError, KeyboardInterrupt):
            print()  # end the line of the prompt after Ctrl-D or Ctrl-C
            raise

    def show_label(self) -> None:
        """Print the label of a reply on a terminal."""
        if self._is_terminal:
            print(styled("microgpt> ", "36"), end="", flush=True)


def _edit_lines() -> None:
    """Let `input` edit lines and recall messages of all sessions.

    Without readline, as on Windows, the terminal has its own way of editing.
    """
    try:
        import readline
    except ImportError:
        return
    # Ctrl-D that was typed during a reply arrives as NUL, because readline changes the terminal.
    readline.parse_and_bind(r'"\C-@": "\C-d"')
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home directory
        folder = user_state_path("microgpt", appauthor=False)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # readable only by the user
        history = str(folder / "messages")
        readline.set_history_length(MAX_HISTORY)
        atexit.register(_write_history, history)
        readline.read_history_file(history)


def _write_history(file: str) -> None:
    import readline

    with suppress(OSError):
        readline.write_history_file(file)
