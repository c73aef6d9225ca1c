"""Escape text from a file or a client before it is shown in a terminal, a log or an error.

The command line escapes its results differently: `microgpt_cli.terminal.console`.
"""

MAX_CHARS = 200


def printable(text: str, max_chars: int = MAX_CHARS) -> str:
    r"""Return text on one line, without control characters, cut to max_chars.

    Control characters, line ends, lone surrogates and other characters that do not print become
    escapes such as \x1b.

    >>> printable("a\x1b[2J")
    'a\\x1b[2J'
    """
    cut = text[:max_chars]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut)
    return cut if len(text) <= max_chars else f"{cut}…"
