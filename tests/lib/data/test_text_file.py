from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from unittest.mock import patch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from microgpt.data import text_file
from microgpt.data.text_file import TextFile
from microgpt.errors import DataError

FRENCH = "café\nélève\nnaïve\ngarçon\n"
GERMAN = "Die Straße führt über die Brücke.\nSchöne Grüße aus Köln.\n"
QUOTES = "it’s “fine”, really…\n"  # this punctuation is in cp1252, but not in Latin-1
RUSSIAN = "Привет, как дела?\nСегодня хорошая погода.\n"
JAPANESE = "こんにちは世界\n東京\n日本語のテキスト\nつ気坩\n"

lines_and_ends = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0")),
        st.sampled_from(["\n", "\r\n", "\r"]),
    ),
    min_size=1,
)


@given(lines_and_ends, st.sampled_from([1, 3, 2**16]), st.booleans())
def test_any_mixture_of_line_endings_can_be_read(tmp_path_factory, content, chunk, bom) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    text = "a" + "".join(line + end for line, end in content)  # begins like no binary format
    path.write_bytes(text.encode("utf-8-sig" if bom else "utf-8"))
    file = TextFile(path)
    with patch.object(text_file, "CHUNK", chunk):
        lines = list(file)
    assert lines == text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        (GERMAN, "cp1252", "seems to be cp1252"),
        (QUOTES, "cp1252", "seems to be cp1252"),
        *[
            (text, encoding, "is in another encoding")  # this encoding is not identified
            for text, encoding in ((GERMAN, "cp850"), (RUSSIAN, "koi8-r"), (JAPANESE, "euc-jp"))
        ],
        ("anna\nemma\n", "utf-16-le", "seems to be utf-16"),  # this is also valid UTF-8
    ],
)
def test_the_error_for_non_utf_8_text_says_how_to_convert_it(write, text, encoding, told) -> None:
    name = "ENCODING" if "another" in told else encoding.removesuffix("-le")
    problem = (
        rf"data\.txt is not UTF-8 text \(line \d .*\); it {told}; .*: iconv -f {name} -t utf-8"
    )
    with pytest.raises(DataError, match=problem):
        list(TextFile(write(text.encode(encoding))))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("text", ["", FRENCH, RUSSIAN, JAPANESE])
def test_utf_16_and_utf_32_text_with_a_bom_is_read_if_valid(write, text, encoding) -> None:
    content = text.replace("\n", "\r\n").encode(encoding)
    assert "\n".join(TextFile(write(content))) == text.removesuffix("\n")
    with pytest.raises(DataError, match=f"is not {encoding.upper()} text, .*; save it as UTF-8"):
        list(TextFile(write(content + b"\n")))


def test_an_encoding_is_detected_even_far_into_a_long_file(write) -> None:
    path = write(b"anna\r\n" * 100_000 + FRENCH.encode("cp1252") * 1000)
    with pytest.raises(DataError, match=r"\(line 100001 has .* 0xe9\); it seems to be cp1252"):
        list(TextFile(path))


@pytest.mark.parametrize(
    ("content", "line", "byte"),
    [
        (FRENCH.encode() + b"caf\xe9\n" + FRENCH.encode(), 5, "e9"),
        (FRENCH.encode() + b"em\0ma\n" + FRENCH.encode(), 5, "00"),
        (b"a\0b\n", 1, "00"),
        (b"anna\n" * 8 + b"\0" * 9, 9, "00"),
    ],
)
def test_a_few_bad_bytes_are_not_taken_for_another_encoding(write, content, line, byte) -> None:
    problem = rf"data\.txt is not UTF-8 text \(line {line} has the byte 0x{byte}\); fix"
    with pytest.raises(DataError, match=problem):
        list(TextFile(write(content)))


@given(st.binary())
def test_invalid_utf_8_is_rejected_with_a_one_line_message(tmp_path_factory, content) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content)
    try:
        content.decode()
    except UnicodeDecodeError:
        assume(not content.startswith((BOM_UTF16_BE, BOM_UTF16_LE)))
        with pytest.raises(DataError, match=r"^[^\n]* is not [^\n]* \(line \d+ has the byte 0x"):
            list(TextFile(path))
