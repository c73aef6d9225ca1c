"""The lines of a UTF-8 file, and what is wrong with one that is not.

A file is read in small chunks: what is in memory is what becomes of the lines, and little more.
"""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path

from microgpt.errors import DataError

CHUNK = 2**16  # bytes that are read at a time, and the rest of the line in which they end
SAMPLE = 2**14  # bytes that tell an encoding, in some 5 ms

# The encodings of files that are not UTF-8: those that browsers know, of DOS, and of the old Mac.
# Rarer ones would make the guess worse: a short text can be in many encodings.
WIDE = ("utf_16", "utf_16_le", "utf_16_be", "utf_32")  # have bytes that are 0
NARROW = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r"),
    *("cp874", "cp932", "cp949", "euc_jp", "big5", "gb18030", "cp850", "mac_roman"),
)
COMMONEST = "cp1252"  # Windows in Western Europe and America; it holds Latin-1
PLAIN = bytes([*b"\t\n\r", *range(ord(" "), ord("~") + 1)])  # what ASCII text has
# What charset-normalizer finds less odd, and more like a language, by no more than this is a tie.
TIE_CHAOS, TIE_COHERENCE = 0.005, 0.1


class TextFile:
    r"""A text file that is read line by line.

    Lines end with \n, \r\n or \r, in any mix. A byte order mark at the start is left out.

    Attributes:
        path: where it is.
        has_bom: whether there was a byte order mark.
        line_ends: those that there were, as far as the file has been read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.has_bom = False
        self.line_ends: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        """Yield the lines without their ends.

        Raises:
            DataError: the file cannot be read, or is not UTF-8 text; the message has the line, the
                byte, and what it seems to be.
        """
        n_lines = 0
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    # What has a zero is refused: it may be gigabytes without the end of a line.
                    chunk += file.readline(CHUNK if b"\0" in chunk else -1)
                    if not n_lines:
                        self.has_bom = chunk.startswith(BOM_UTF8)
                        chunk = chunk.removeprefix(BOM_UTF8)
                    lines = self._split(self._decode(chunk, n_lines))
                    n_lines += len(lines)
                    yield from lines
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from error

    def _decode(self, chunk: bytes, n_lines_before: int) -> str:
        try:
            text = chunk.decode()
        except UnicodeDecodeError as error:
            raise self._problem(chunk, error.start, n_lines_before) from error
        if "\0" in text:  # UTF-16 can be valid UTF-8
            raise self._problem(chunk, chunk.index(0), n_lines_before)
        return text

    def _split(self, text: str) -> list[str]:
        n_both = text.count("\r\n")
        counts = {"\r\n": n_both, "\r": text.count("\r") - n_both, "\n": text.count("\n") - n_both}
        self.line_ends.update(end for end, n in counts.items() if n)
        return _with_plain_ends(text).removesuffix("\n").split("\n")

    def _problem(self, chunk: bytes, start: int, n_lines_before: int) -> DataError:
        """Return what to say of a chunk that is no text from a byte on."""
        before = _with_plain_ends(chunk[:start].decode())
        line = n_lines_before + before.count("\n") + 1
        where = f"(line {line} has the byte 0x{chunk[start]:02x})"
        sample = _sample(chunk, start)
        encoding = _guess_encoding(sample)
        if encoding == "utf_8":
            return DataError(f"{self.path} is not UTF-8 text throughout {where}; mend that line")
        if encoding is None:
            return DataError(f"{self.path} is not a text file {where}; give one, in UTF-8")
        name = encoding.replace("_", "-")
        return DataError(
            f"{self.path} is not UTF-8 text {where}; it seems to be {name}; save it as UTF-8"
        )


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _sample(chunk: bytes, start: int) -> bytes:
    """Return whole lines, or nearly, around a byte."""
    first = chunk.rfind(b"\n", 0, max(0, start - SAMPLE // 2)) + 1
    return chunk[first : first + SAMPLE]


def _guess_encoding(sample: bytes) -> str | None:
    """Return the encoding that bytes, which are not all UTF-8 text, are probably in.

    It is UTF-8 where few of them are at fault, and None where they are no text at all.
    """
    from charset_normalizer import from_bytes

    odd = sample.translate(None, PLAIN)
    if not odd.strip(b"\0") and 3 * len(odd) < len(sample):  # in UTF-16 half of ASCII is zeros
        return "utf_8"
    has_zeros = b"\0" in odd
    if has_zeros or sample.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        wide = from_bytes(sample, cp_isolation=[*WIDE]).best()
        if wide:
            return wide.encoding
    text = sample.decode(errors="replace")
    n_bad = text.count("\ufffd")
    n_beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    if n_beyond_ascii - n_bad >= n_bad:  # other encodings do not look like it by chance
        return "utf_8"
    if has_zeros:
        return None
    matches = from_bytes(sample[: sample.rfind(b"\n") + 1] or sample, cp_isolation=[*NARROW])
    best = matches.best()
    if not best:
        return None
    as_good = [
        match
        for match in matches
        if match.chaos - best.chaos < TIE_CHAOS and best.coherence - match.coherence < TIE_COHERENCE
    ]
    is_common = any(COMMONEST in match.could_be_from_charset for match in as_good)
    return COMMONEST if is_common else best.encoding
