import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import load_text
from microgpt.data.documents import bundled
from microgpt_evolution.objectives.aesthetic_judge import (
    HEADS,
    judge,
    known_names,
    normal,
    score_names,
)

ROUNDING = 1e-12  # tolerance for sums of a few numbers such as 1.2, which are not exact in binary
NOTHING = frozenset[str]()


@pytest.fixture(scope="module")
def names():
    """The bundled names, normalised for the judge."""
    return known_names(load_text(bundled("names.txt")))


@pytest.mark.parametrize(  # scores calculated by hand from the rules of evolve-rust
    ("name", "flow", "symmetry", "total"),
    [
        ("zubeq", 0.5, 0.0, 2.5),
        ("zubeqa", 0.5, 0.2, 2.74),
        ("lelel", 0.5, 3.5, 6.70),  # repeats the pair "le"; the last letter is ignored
        ("aaaa", -1.5, 3.7, 4.94),
        ("nannan", 0.5, 3.7, 6.94),
        ("bcb", -1.0, 0.0, 1.0),  # a palindrome needs at least four letters
        ("bob", 0.0, 0.0, 2.0),
        ("yayab", -1.5, 1.5, 2.3),  # y is a vowel, so four vowels stand in a row
        ("zubeqizu", 0.5, 0.0, 2.5),
        ("zubeqizub", 0.0, 0.0, 2.0),
    ],
)
def test_scores_of_new_names_equal_those_computed_by_hand(name, flow, symmetry, total) -> None:
    verdict = judge(name, NOTHING)
    assert (verdict.flow, verdict.creativity) == (flow, 1.0)
    assert verdict.symmetry == pytest.approx(symmetry, abs=ROUNDING)
    assert verdict.total == pytest.approx(total, abs=ROUNDING)


@pytest.mark.parametrize(("name", "total"), [("nana", -7.46), ("kamon", -9.26), ("karai", -9.5)])
def test_a_name_from_the_training_data_has_a_creativity_of_minus_5(names, name, total) -> None:
    verdict = judge(name, names)
    assert verdict.creativity == -5.0
    assert verdict.total == pytest.approx(total, abs=ROUNDING)


@given(name=st.text() | st.text("abny") | st.text("aÉßİя你ª 1", min_size=3), is_known=st.booleans())
def test_only_words_of_3_or_more_letters_have_a_bounded_score(name, is_known) -> None:
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


NO_NAME = {"judge": -100.0, "weaver": -100.0, "mirror": -100.0, "spark": -100.0}

texts = st.lists(st.text(max_size=12) | st.text("abny", min_size=3, max_size=9), max_size=12)


def test_the_score_of_a_batch_is_the_mean_over_its_names() -> None:
    result = score_names(["mama", "aaaa", "anna"], known_names(["anna"]))
    assert result == pytest.approx(
        {
            "judge": (4.54 + 4.94 - 6.86) / 3,
            "weaver": (1.0 - 1.0 + 1.0) / 3,
            "mirror": (2.5 + 5.5 + 3.5) / 3,
            "spark": (2.0 + 2.0 - 5.0) / 3,
        },
        abs=ROUNDING,
    )


def test_unscorable_names_do_not_count_and_alone_give_minus_100() -> None:
    for names in ([], [""], ["a", "bo", " bo "]):
        assert score_names(names, NOTHING) == NO_NAME
    scores = score_names(["1-1", "bo"], NOTHING)
    assert scores == {"judge": -100.0, "weaver": -100.0, "mirror": 3.0, "spark": 2.0}
    scores = score_names(["mama", "x1", "?"], NOTHING)
    assert scores["judge"] == pytest.approx(4.54, abs=ROUNDING)


def test_only_the_first_of_equal_names_adds_to_the_mean_score() -> None:
    result = score_names(["mama", "MAMA ", "mama", "mama"], NOTHING)
    expected = {"judge": 4.54 / 4, "weaver": 0.25, "mirror": 0.625, "spark": 0.5}
    assert result == pytest.approx(expected, abs=ROUNDING)


@given(names=texts, known=texts, data=st.data())
def test_scores_are_bounded_and_do_not_depend_on_the_order_of_names(names, known, data) -> None:
    known = known_names(known)
    result = score_names(names, known)
    assert list(result) == ["judge", "weaver", "mirror", "spark"]
    assert all(map(math.isfinite, result.values()))
    for measure, most in {"judge": 6.94, "weaver": 1.0, "mirror": 5.5, "spark": 2.5}.items():
        assert -100.0 <= result[measure] <= most + ROUNDING
    assert score_names(data.draw(st.permutations(names)), known) == result


KNOWN = frozenset(["anna", "isabella"])

# The scores were calculated by hand from the rules of evolve-rust. All are exact in binary.


@pytest.mark.parametrize(
    ("head", "scores"),
    [
        ("weaver", {"kamon": 1.0, "anna": 1.0, "bob": 0.0, "abcd": 0.0, "aaaa": -1.0,
                 "axxxxb": -2.0, "yayab": -1.0, "zubeqizu": 1.0, "zubeqizub": 0.0, " KaMon ": 1.0,
                 "ab": None, "ab1": None, "": None}),  # the weaver ignores whether a name is known
        ("mirror", {"nannan": 5.5, "lelel": 5.0, "aaaa": 5.5, "anna": 3.5, "bob": 3.0, "mama": 2.5,
                  "kamon": 0.5, "karai": 0.0, "1-1": 3.0, " MaMa ": 2.5, "aa": None, "": None}),
        ("spark", {"kamonu": 2.0, "kamonus": 2.5, "anna": -5.0, "isabella": -4.5, " ANNA ": -5.0,
                 "x-1": 2.0, "ab": None, "": None}),
    ],
)  # fmt: skip
def test_each_hydra_head_gives_names_the_scores_of_evolve_rust(head, scores) -> None:
    assert {name: HEADS[head].score(name, KNOWN) for name in scores} == scores
