"""Encode paths as text for JSON; a path that is not valid UTF-8 becomes a file: URI."""

import os
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

SCHEME = "file:"


def path_to_text(path: str | Path) -> str:
    r"""Encode a path as valid Unicode text.

    >>> path_to_text("names.txt")
    'names.txt'
    >>> path_to_text(os.fsdecode(b"n\xff.txt"))
    'file:n%FF.txt'
    """
    text = str(path)
    is_text = text == text.encode(errors="replace").decode() and not text.startswith(SCHEME)
    return text if is_text else SCHEME + quote_from_bytes(os.fsencode(path))


def path_from_text(text: str) -> Path:
    """Decode a path encoded by `path_to_text`."""
    if not text.startswith(SCHEME):
        return Path(text)
    return Path(os.fsdecode(unquote_to_bytes(text.removeprefix(SCHEME)).replace(b"\0", b"")))
