"""Print to stdout and stderr, and handle closed pipes."""

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from microgpt import printable

MAX_LINE = 4096  # maximum number of characters per line on stderr; enough for any path
# Characters that control a terminal: bidirectional overrides, and control characters except line
# feeds and tabs. Letters of any script are printed unchanged, as are zero-width joiners.
BIDI_CONTROLS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
ESCAPES = {
    code: repr(chr(code))[1:-1]
    for code in (*range(9), *range(11, 32), *range(127, 160), *BIDI_CONTROLS)
}


def prepare_streams() -> None:
    """Replace missing streams, and escape characters that cannot be encoded or decoded."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the caller closed the stream
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (stays open until exit)
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def say(line: str) -> None:
    """Print one line to stderr; ignore a closed pipe."""
    text = printable(" ".join(line.splitlines()), MAX_LINE)
    try:
        sys.stderr.write(f"{text}\n")  # an interrupted `print` could omit the line feed
        sys.stderr.flush()
    except OSError:
        discard_output(sys.stderr)


def note(line: str) -> None:
    """Print a note to stderr, for information that is neither a result nor an error."""
    say(f"note: {line}")


def print_or_discard(text: str) -> None:
    """Print a result; if the pipe is closed, discard the output and continue."""
    try:
        print(terminal_safe(text), flush=True)
    except BrokenPipeError:
        discard_output(sys.stdout)


def quoted(text: str, max_chars: int) -> str:
    """Return up to max_chars characters of a text as one line, quoted and escaped."""
    return repr(text if len(text) <= max_chars else f"{text[:max_chars]}…")


def terminal_safe(text: str) -> str:
    """Escape control characters if stdout is a terminal; otherwise, return the text unchanged."""
    return text.translate(ESCAPES) if sys.stdout.isatty() else text


def shows_color() -> bool:
    """Return whether stdout is a terminal with colors, and NO_COLOR is not set."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not is_plain


def styled(text: str, style: str) -> str:
    """Return a text in an ANSI style, such as "1;31" for bold red, if stdout shows colors."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and shows_color() else text


def print_facts(facts: Mapping[str, object]) -> None:
    """Print facts as aligned and escaped "name: value" lines."""
    names = [f"{printable(name)}:" for name in facts]
    width = max(map(len, names))
    for name, fact in zip(names, facts.values(), strict=True):
        print(f"  {name:<{width}}  {printable(fact) if isinstance(fact, str) else fact}")


def discard_output(stream: TextIO) -> None:
    """Discard all further output of a stream, including its buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
