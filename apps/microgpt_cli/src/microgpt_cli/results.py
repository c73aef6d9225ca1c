"""Results on stdout, where the reader may have left."""

import os
import sys


def show_while_read(text: str) -> None:
    """Print something; if nobody reads any more, go on in silence, for there is more to do."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        abandon_stdout()


def abandon_stdout() -> None:
    """Send all that is still to be printed nowhere, what is in the buffer too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
