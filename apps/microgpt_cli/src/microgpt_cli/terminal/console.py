"""What goes to stdout and stderr, also when nobody reads there any more."""

import os
import sys
from collections.abc import Mapping
from typing import TextIO, cast

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
    for stream, errors in (
        (sys.stdin, "surrogateescape"),
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
    ):
        cast(TextIO, stream).reconfigure(errors=errors)  # type: ignore[attr-defined]


def say(line: str) -> None:
    """Print one line to stderr; a closed pipe does not change the exit code."""
    text = printable(" ".join(line.splitlines()), MAX_LINE)
    try:
        sys.stderr.write(f"{text}\n")  # in one go: `print` can be stopped before the end of a line
        sys.stderr.flush()
    except OSError:
        _abandon(sys.stderr)


def note(line: str) -> None:
    """Tell the user something that is neither a result nor an error."""
    say(f"note: {line}")


def show_while_read(text: str) -> None:
    """Print a result; if nobody reads any more, go on in silence, for there is more to do."""
    try:
        print(shown(text), flush=True)
    except BrokenPipeError:
        abandon_stdout()


def shown(text: str) -> str:
    """Return what a model has made up, or a path, as stdout may have it.

    Both can have characters that a terminal obeys: a terminal gets those escaped, a file or a pipe
    as they are.
    """
    return text.translate(ESCAPES) if sys.stdout.isatty() else text


def print_facts(facts: Mapping[str, object]) -> None:
    """Print a line for each, values below one another, whatever characters are in them."""
    rows = [
        (printable(name), printable(fact) if isinstance(fact, str) else fact)
        for name, fact in facts.items()
    ]
    width = max(len(name) for name, _ in rows) + 1
    for name, fact in rows:
        print(f"  {name + ':':<{width}}  {fact}")


def abandon_stdout() -> None:
    """Send all that is still to be printed nowhere, what is in the buffer too."""
    _abandon(sys.stdout)


def _abandon(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
