import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.formatting import duration, percentage, printable


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.0001, "less than 0.001 s"), (0.0123, "0.012 s"), (6.14, "6.1 s"),
        (9.94, "9.9 s"), (9.95, "10 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"), (7260, "2 h 01 min"),
    ],
)  # fmt: skip
def test_a_duration_is_rounded_to_two_digits_or_two_units(seconds, text) -> None:
    assert duration(seconds) == text


def test_a_small_fraction_is_not_rounded_to_0_percent() -> None:
    assert [percentage(share) for share in (0, 0.0001, 0.0005, 0.123, 1)] == [
        "0.0%", "<0.1%", "0.1%", "12.3%", "100.0%",
    ]  # fmt: skip


def test_control_characters_are_escaped_and_long_text_is_truncated() -> None:
    assert printable("Jörg, 漢字 'quoted'") == "Jörg, 漢字 'quoted'"
    assert printable("a\x1b[2J\nb\x9b") == "a\\x1b[2J\\nb\\x9b"
    assert printable("abcdef", max_chars=3) == "abc…"


@given(st.text(alphabet=st.characters(), max_size=300))
def test_printable_returns_a_printable_string_for_any_text(text):
    assert printable(text).isprintable()
