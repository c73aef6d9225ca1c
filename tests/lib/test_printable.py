from hypothesis import given
from hypothesis import strategies as st

from microgpt.printable import printable


def test_plain_text_is_unchanged():
    assert printable("Jörg, 漢字 'quoted'") == "Jörg, 漢字 'quoted'"


def test_control_characters_and_line_ends_are_escaped():
    assert printable("a\x1b[2J\nb\x9b") == "a\\x1b[2J\\nb\\x9b"


def test_long_text_is_cut():
    assert printable("abcdef", max_chars=3) == "abc…"


@given(st.text(alphabet=st.characters(), max_size=300))
def test_every_result_is_printable(text):
    assert printable(text).isprintable()
