"""What goes to stdout and stderr, also when nobody reads there any more."""

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from microgpt.printable import printable

MAX_LINE = 4096  # characters on stderr: room for a path
# What a terminal obeys: control characters but line ends and tabs, and what turns the direction of
# writing. Letters of any script print as they are, also those that are joined by invisible ones.
TURNS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
ESCAPES = {
    code: repr(chr(code))[1:-1] for code in (*range(9), *range(11, 32), *range(127, 160), *TURNS)
}


def prepare_streams() -> None:
    """Make sure that no stream is missing and that no character ends in a traceback."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the caller has closed it
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (until the process ends)
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def say(line: str) -> None:
    """Print one line to stderr; a closed pipe does not change the exit code."""
    text = printable(" ".join(line.splitlines()), MAX_LINE)
    try:
        sys.stderr.write(f"{text}\n")  # in one go: `print` can be stopped before the end of a line
        sys.stderr.flush()
    except OSError:
        abandon(sys.stderr)


def note(line: str) -> None:
    """Tell the user something that is neither a result nor an error."""
    say(f"note: {line}")


def show_while_read(text: str) -> None:
    """Print a result; if nobody reads any more, go on in silence, for there is more to do."""
    try:
        print(terminal_safe(text), flush=True)
    except BrokenPipeError:
        abandon(sys.stdout)


def terminal_safe(text: str) -> str:
    """Return text for stdout: a terminal gets control characters escaped, a file or pipe raw."""
    return text.translate(ESCAPES) if sys.stdout.isatty() else text


def print_facts(facts: Mapping[str, object]) -> None:
    """Print a line for each, values below one another, whatever characters are in them."""
    names = [f"{printable(name)}:" for name in facts]
    width = max(map(len, names))
    for name, fact in zip(names, facts.values(), strict=True):
        print(f"  {name:<{width}}  {printable(fact) if isinstance(fact, str) else fact}")


def abandon(stream: TextIO) -> None:
    """Discard all that is still to be printed on stdout or stderr, also what is in the buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
