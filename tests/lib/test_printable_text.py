from hypothesis import given
from hypothesis import strategies as st

from microgpt.printable_text import printable


def test_control_characters_are_escaped_and_long_text_is_cut() -> None:
    assert printable("Jörg, 漢字 'quoted'") == "Jörg, 漢字 'quoted'"
    assert printable("a\x1b[2J\nb\x9b") == "a\\x1b[2J\\nb\\x9b"
    assert printable("abcdef", max_chars=3) == "abc…"


@given(st.text(alphabet=st.characters(), max_size=300))
def test_printable_returns_a_printable_string_for_any_text(text):
    assert printable(text).isprintable()
