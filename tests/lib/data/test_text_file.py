import gzip
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data import text_file
from microgpt.data.text_file import TextFile
from microgpt.errors import DataError

FRENCH = "café\nélève\nnaïve\ngarçon\n"
GERMAN = "Die Straße führt über die Brücke.\nSchöne Grüße aus Köln.\n"
QUOTES = "it’s “fine”, really…\n"  # none of these is in Latin-1
RUSSIAN = "Привет, как дела?\nСегодня хорошая погода.\n"
JAPANESE = "こんにちは世界\n東京\n日本語のテキスト\nつ気坩\n"

lines_and_ends = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0")),
        st.sampled_from(["\n", "\r\n", "\r"]),
    ),
    min_size=1,
)


@pytest.fixture
def file(tmp_path: Path):
    """Write a file of bytes and return it, to be read."""

    def write(content: bytes) -> TextFile:
        (tmp_path / "words.txt").write_bytes(content)
        return TextFile(tmp_path / "words.txt")

    return write


@given(lines_and_ends, st.sampled_from([1, 3, 2**16]), st.booleans())
def test_any_mixture_of_line_endings_can_be_read(tmp_path_factory, content, chunk, bom) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    text = "".join(line + end for line, end in content)
    path.write_bytes(text.encode("utf-8-sig" if bom or text.startswith("\ufeff") else "utf-8"))
    file = TextFile(path)
    with patch.object(text_file, "CHUNK", chunk):
        lines = list(file)
    assert lines == text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]


def test_a_byte_order_mark_is_removed(file) -> None:
    assert list(file(b"\xef\xbb\xbfanna\n")) == ["anna"]


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        (FRENCH, "latin-1", "cp1252"),
        (GERMAN, "cp1252", "cp1252"),
        ("a\nb\ncafé\n", "cp1252", "cp1252"),
        (QUOTES, "cp1252", "cp1252"),
        *[
            (text, encoding, encoding)
            for text in ("anna\nemma\n", FRENCH, RUSSIAN, JAPANESE)
            for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")
        ],
    ],
)
def test_the_error_for_another_encoding_names_the_encoding(file, text, encoding, told) -> None:
    problem = rf"words\.txt is not UTF-8 text \(line \d .*\); it seems to be {told}; save it as UTF"
    with pytest.raises(DataError, match=problem):
        list(file(text.encode(encoding)))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(GERMAN, "cp850"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (JAPANESE, "euc-jp")],
)
def test_the_error_for_a_rare_encoding_says_how_to_convert_it(file, text, encoding) -> None:
    problem = (
        r"words\.txt is not UTF-8 text \(line 1 .*\); it is in another encoding; save it as UTF-8"
        ".*: iconv -f ENCODING -t utf-8 FILE > NEW$"
    )
    with pytest.raises(DataError, match=problem):
        list(file(text.encode(encoding)))


def test_utf_16_is_detected_even_if_it_is_valid_utf_8(file) -> None:
    content = "анна\nмарк\n".encode("utf-16-le")
    content.decode()  # it is
    with pytest.raises(DataError, match="it seems to be utf-16-le"):
        list(file(content))


def test_an_encoding_is_detected_even_far_into_a_long_file(file) -> None:
    words = file(b"anna\r\n" * 100_000 + FRENCH.encode("cp1252") * 1000)
    with pytest.raises(DataError, match=r"\(line 100001 has .* 0xe9\); it seems to be cp1252"):
        list(words)


@pytest.mark.parametrize(("bad", "byte"), [(b"caf\xe9\n", "e9"), (b"em\0ma\n", "00")])
def test_a_single_bad_byte_is_not_taken_for_another_encoding(file, bad, byte) -> None:
    problem = rf"words\.txt is not UTF-8 text \(line 5 has the byte 0x{byte}\); fix"
    with pytest.raises(DataError, match=problem):
        list(file(FRENCH.encode() + bad + FRENCH.encode()))


@pytest.mark.parametrize("content", [b"anna\nem\0ma\nmi\n", b"a\0b\n", b"anna\n" * 8 + b"\0" * 9])
def test_a_few_zero_bytes_do_not_make_text_utf_16(file, content) -> None:
    with pytest.raises(DataError, match=r"not UTF-8 text \(line \d has the byte 0x00\)"):
        list(file(content))


def test_a_binary_file_is_refused(file) -> None:
    content = gzip.compress(FRENCH.encode() * 100, mtime=0)
    with pytest.raises(DataError, match=r"is not a text file \(line 1 has the byte 0x8b"):
        list(file(content))


@given(st.binary())
def test_invalid_utf_8_is_rejected_with_a_one_line_message(tmp_path_factory, content) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content)
    try:
        content.decode()
    except UnicodeDecodeError:
        with pytest.raises(DataError, match=r"^[^\n]* is not [^\n]* \(line \d+ has the byte 0x"):
            list(TextFile(path))


def test_the_error_for_a_workbook_says_to_save_it_as_csv(file) -> None:
    with pytest.raises(DataError, match=r"is not a text file .*workbook.* save it as CSV or text"):
        list(file(b"PK\x03\x04\x14\x00\x06\x00 [Content_Types].xml"))
