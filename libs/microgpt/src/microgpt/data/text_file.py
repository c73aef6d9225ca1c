"""Read a text file line by line: UTF-8, or the encoding that its byte order mark names."""

import os
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from microgpt.config import TextKind, check_path
from microgpt.data.other_formats import refuse_binary
from microgpt.errors import DataError

CHUNK = 2**16  # bytes per read; each read continues to the end of the line
SAMPLE = 2**14  # number of bytes used to detect the encoding

BOMS = {  # UTF-32 first, as the UTF-32-LE BOM begins with the UTF-16-LE BOM
    BOM_UTF32_LE: "utf-32", BOM_UTF32_BE: "utf-32", BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16"
}  # fmt: skip
PLAIN = bytes([*b"\t\n\r", *range(ord(" "), ord("~") + 1)])  # printable ASCII, tab and line endings
# Control characters that text does not contain; \x1a is the DOS end-of-file character.
CONTROLS = bytes({*range(1, 32), 127} - {*b"\t\n\r\f\x1a"})


class ConversationsError(DataError):
    """A file that should contain text contains conversations."""


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a file of documents; see `Settings`, which has the same fields."""

    text: TextKind | None = None  # by default, running text is detected
    column: str | None = None  # column of a table, or field of JSON objects, with the documents
    chat: bool = False  # whether the file contains conversations
    me: str | None = None  # the participant of an exported chat who is the assistant
    separator: str | None = None  # line between documents of several lines; see `multiline`

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return the read options among the settings of a command or of a recorded run."""
        names = (field.name for field in fields(cls))
        return cls(**{name: settings[name] for name in names if settings.get(name) is not None})


class TextFile:
    r"""A text file that is read line by line: UTF-8, or UTF-16 or UTF-32 with a byte order mark.

    Line endings can be \n, \r\n or \r, even within one file. A byte order mark is skipped.
    """

    def __init__(self, path: str | Path, *, is_strict: bool = True) -> None:
        check_path("path", path)
        self.path = Path(path)
        self.is_strict = is_strict  # whether to refuse invalid UTF-8 instead of replacing it
        self.is_chat_export = False  # whether the file is an exported chat; set by a reader
        self.is_in_order = False  # set by a reader if training should not shuffle the documents
        self.kind = "line"  # what a document is, such as "line" or "record between blank lines"
        self.otherwise = ""  # options that would read the file in another way
        self._piped: list[str] | None = None  # lines of a pipe, which can be read only once

    @classmethod
    def at(cls, path: "str | Path | TextFile") -> "TextFile":
        """Return the file at a path; a `TextFile` is returned unchanged."""
        return path if isinstance(path, TextFile) else cls(path)

    def __iter__(self) -> Iterator[str]:
        """Return the lines without line endings."""
        if self._piped is None and not os.path.isfile(self.path):
            self._piped = [*self._lines()]
        return self._lines() if self._piped is None else iter(self._piped)

    def _lines(self) -> Iterator[str]:
        n_lines = 0
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    # Read to the end of the line, except in binary data, whose lines can be huge.
                    chunk += file.readline(CHUNK if b"\0" in chunk else -1)
                    if not n_lines:
                        refuse_binary(chunk, self.path)
                        chunk = chunk.removeprefix(BOM_UTF8)
                        named = (name for bom, name in BOMS.items() if chunk.startswith(bom))
                        if encoding := next(named, None):
                            chunk = self._as_utf8(chunk + file.read(), encoding)
                    text = _with_plain_ends(self._decode(chunk, n_lines))
                    lines = text.removesuffix("\n").split("\n")
                    n_lines += len(lines)
                    yield from lines
        except OSError as error:
            path, problem = str(self.path), error.strerror
            if path.startswith(("http:/", "https:/", "ftp:/")):  # a URL; Path reduces "//" to "/"
                path, problem = path.replace(":/", "://", 1), "download it first, and pass the file"
            raise DataError(f"cannot read {path}: {problem}") from error

    def _as_utf8(self, content: bytes, encoding: str) -> bytes:
        try:
            return content.decode(encoding).encode()
        except ValueError as error:
            problem = f"is not {encoding.upper()} text, although its byte order mark says so"
            raise DataError(f"{self.path} {problem} ({error}); save it as UTF-8") from error

    def _decode(self, chunk: bytes, n_lines_before: int) -> str:
        if not self.is_strict:
            return chunk.decode(errors="replace")
        try:
            text, start = chunk.decode(), chunk.find(0)  # refuse NUL bytes, which occur in UTF-16
        except UnicodeDecodeError as error:
            start = error.start
        if start < 0:
            return text
        line = n_lines_before + _with_plain_ends(chunk[:start].decode()).count("\n") + 1
        where = f"(line {line} has the byte 0x{chunk[start]:02x})"
        # Diagnose a sample around the invalid byte, from the start of a line if possible.
        first = chunk.rfind(b"\n", 0, max(0, start - SAMPLE // 2)) + 1
        what, remedy = _diagnose(chunk[first : first + SAMPLE])
        raise DataError(f"{self.path} is not {what} {where}; {remedy}")


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _diagnose(sample: bytes) -> tuple[str, str]:
    """Return what the file should be ("UTF-8 text" or "a text file") and a remedy."""
    odd, text = sample.translate(None, PLAIN), sample.decode(errors="replace")
    n_bad, n_ascii = text.count("\ufffd"), len(text.encode("ascii", "ignore"))
    if not odd.strip(b"\0") and 3 * len(odd) >= len(sample):  # ASCII characters in UTF-16
        encoding = "utf-16"
    elif len(text) - n_ascii >= 2 * n_bad:  # mostly valid UTF-8
        return "UTF-8 text", "fix that line"
    elif sample.translate(None, CONTROLS) != sample:
        return "a text file", "use a UTF-8 text file"
    else:
        is_western = "\ufffd" not in sample.decode("cp1252", errors="replace")
        encoding = "cp1252" if is_western and 2 * len(odd) <= len(sample) else ""
    guess = f"it seems to be {encoding}" if encoding else "it is in another encoding"
    command = f"iconv -f {encoding or 'ENCODING'} -t utf-8 FILE > NEW"
    return "UTF-8 text", f"{guess}; save it as UTF-8, in an editor or with: {command}"
