"""Print to stdout and stderr, tolerate closed pipes, and handle SIGINT and SIGTERM."""

import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import NoReturn, Self, TextIO

from microgpt import find_plugins, printable

MAX_LINE = 4096  # maximum number of characters per line on stderr; enough for any path
# Characters that are escaped on a terminal: bidirectional overrides, and control characters except
# line feeds and tabs. Letters of any script and zero-width joiners are printed unchanged.
BIDI_CONTROLS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
ESCAPES = {
    code: repr(chr(code))[1:-1]
    for code in (*range(9), *range(11, 32), *range(127, 160), *BIDI_CONTROLS)
}
CLEAR_LINE = "\r\x1b[K"
_shown: list[str] = []  # the progress line on the terminal, if there is one
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPEATED_S = 0.3  # a second signal within this time is a copy, passed on by `uv run`


def prepare_streams() -> None:
    """Replace missing standard streams, and escape characters that cannot be encoded or decoded."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the caller closed the stream
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (stays open until exit)
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def say(line: str) -> None:
    """Print one line to stderr, in place of the progress line; ignore a closed pipe."""
    text = as_typed(printable(" ".join(line.splitlines()), MAX_LINE))
    show_progress("")
    _write(f"{text}\n")  # one call: an interrupted `print` could omit the line feed


def show_progress(line: str) -> None:
    """Replace the progress line on a terminal; "" removes it."""
    if line or _shown:
        _write(f"{CLEAR_LINE}{line}")
    _shown[:] = [line] if line else []


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        discard_output(sys.stderr)


def rewrites_lines() -> bool:
    """Return whether stderr is a terminal that can rewrite a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def as_typed(text: str) -> str:
    """Insert `uv run` before each microgpt command in a text if this process runs under uv."""
    if "UV_RUN_RECURSION_DEPTH" not in os.environ or "microgpt " not in text:
        return text
    names = "|".join(find_plugins("commands"))
    return re.sub(rf"(?<!uv run )\bmicrogpt (?=({names})\b)", "uv run microgpt ", text)


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


def styled(text: str, style: str) -> str:
    """Return a text in an ANSI style, such as "1;31" for bold red, if stdout shows colors."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return f"\x1b[{style}m{text}\x1b[0m" if style and sys.stdout.isatty() and not is_plain else text


def print_facts(facts: Mapping[str, object]) -> None:
    """Print facts as aligned and escaped "name: value" lines."""
    names = [f"{printable(name)}:" for name in facts]
    width = max(map(len, names))
    for name, fact in zip(names, facts.values(), strict=True):
        print(f"  {name:<{width}}  {printable(fact) if isinstance(fact, str) else fact}")


def discard_output(stream: TextIO) -> None:
    """Discard all further output of a stream, including its buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Terminated(KeyboardInterrupt):
    """Raised when SIGTERM is received."""


def raise_on_sigterm() -> None:
    """Raise Terminated on SIGTERM, as Python raises KeyboardInterrupt on SIGINT."""
    signal.signal(signal.SIGTERM, _terminate)


def ignore_signals() -> None:
    """Ignore SIGINT and SIGTERM from now on, as a signal could change the exit code."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


class StopRequest:
    """Records the first SIGINT or SIGTERM, so work can be saved; later ones raise exceptions."""

    def __init__(self) -> None:
        self.reason: type[KeyboardInterrupt] | None = None  # None until a signal is received
        self._received = 0.0

    def __enter__(self) -> Self:
        self._before = [(number, signal.signal(number, self._note)) for number in STOP_SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Return whether a signal was received."""
        return self.reason is not None

    def _note(self, signum: int, frame: FrameType | None) -> None:
        reason = Terminated if signum == signal.SIGTERM else KeyboardInterrupt
        if self.reason:
            if time.monotonic() > self._received + REPEATED_S:
                raise reason
            return
        self.reason = reason
        self._received = time.monotonic()
