"""Messages as plain lines: from a pipe, or from a terminal that can do no more."""

import sys


class PipeInput:
    """Reads lines from stdin as they are; see `chat_terminal` for the other way."""

    def __init__(self, *, with_prompt: bool) -> None:
        """Prepare to read.

        Args:
            with_prompt: whether somebody sits there and waits to be asked.
        """
        self._with_prompt = with_prompt

    def ask(self, label: str) -> str:
        """Return the next line.

        Raises:
            EOFError: there is none.
            KeyboardInterrupt: Ctrl-C.
        """
        if self._with_prompt:
            print(label, end="", flush=True)
        line = ""
        try:
            line = sys.stdin.readline()
        finally:
            if self._with_prompt and not line:
                print()  # nobody has pressed Enter
        if not line:
            raise EOFError
        return line

    def show_label(self, label: str) -> None:
        """Print what stands before a reply."""
        print(label, end="", flush=True)
