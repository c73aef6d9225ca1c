"""Escape untrusted text for terminals, logs and error messages."""

MAX_CHARS = 200


def printable(text: str, max_chars: int = MAX_CHARS) -> str:
    r"""Return up to max_chars characters of a text, escaped and on one line.

    Line breaks, control characters, lone surrogates and other unprintable characters are replaced
    by escapes such as \x1b.

    >>> printable("a\x1b[2J")
    'a\\x1b[2J'
    """
    cut = text[:max_chars]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut)
    return cut if len(text) <= max_chars else f"{cut}…"
