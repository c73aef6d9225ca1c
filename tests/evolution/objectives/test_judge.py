import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import load_text
from microgpt.data.documents import bundled
from microgpt_evolution.objectives.judge import judge, known_names, normal

ROUNDING = 1e-12  # 1.2 has no exact value in binary; the sums of a few such are as near as this
NOTHING = frozenset[str]()


@pytest.fixture(scope="module")
def names():
    """The names that come with microgpt, as the judge knows them."""
    return known_names(load_text(bundled("names.txt")))


@pytest.mark.parametrize(  # worked by hand: SOURCES.md, B4
    ("name", "flow", "symmetry", "total"),
    [
        ("zubeq", 0.5, 0.0, 2.5),
        ("zubeqa", 0.5, 0.2, 2.74),
        ("mama", 0.5, 1.7, 4.54),
        ("lelel", 0.5, 3.5, 6.70),  # an odd length: le, le, and the last l left out
        ("aaaa", -1.5, 3.7, 4.94),
        ("nannan", 0.5, 3.7, 6.94),
        ("abcd", -0.5, 0.0, 1.5),
        ("axxxxb", -2.5, 0.0, -0.5),
        ("bcb", -1.0, 0.0, 1.0),  # a palindrome of three letters is none
        ("bob", 0.0, 0.0, 2.0),
        ("yayab", -1.5, 1.5, 2.3),  # y is a vowel: four in a row
        ("zubeqizu", 0.5, 0.0, 2.5),
        ("zubeqizub", 0.0, 0.0, 2.0),
    ],
)
def test_a_new_name_gets_the_expected_verdict(name, flow, symmetry, total) -> None:
    verdict = judge(name, NOTHING)
    assert (verdict.flow, verdict.creativity) == (flow, 1.0)
    assert verdict.symmetry == pytest.approx(symmetry, abs=ROUNDING)
    assert verdict.total == pytest.approx(total, abs=ROUNDING)


@pytest.mark.parametrize(
    ("name", "total"), [("anna", -6.86), ("nana", -7.46), ("kamon", -9.26), ("karai", -9.5)]
)
def test_a_memorised_name_gets_the_expected_verdict(names, name, total) -> None:
    verdict = judge(name, names)
    assert verdict.creativity == -5.0
    assert verdict.total == pytest.approx(total, abs=ROUNDING)


@pytest.mark.parametrize("name", ["", "ab", " ab ", "x1yz", "anna maria", "o'neil", "sa\x1bra"])
def test_short_names_and_names_with_digits_are_not_judged(name) -> None:
    assert judge(name, NOTHING) is None


@given(name=st.text() | st.text("abny") | st.text("aÉßİя你ª 1", min_size=3), is_known=st.booleans())
def test_any_text_is_judged_within_bounds_or_not_at_all(name, is_known) -> None:
    word = normal(name)
    verdict = judge(name, frozenset([word] if is_known else []))
    assert (verdict is None) == (len(word) < 3 or not word.isalpha())
    if verdict is None:
        return
    assert math.isfinite(verdict.total)
    assert 2 - len(word) <= verdict.flow <= 0.5
    assert 0 <= verdict.symmetry <= 3.7
    assert verdict.creativity == (-5.0 if is_known else 1.0)
    assert verdict.total <= (-5.06 if is_known else 6.94) + ROUNDING
