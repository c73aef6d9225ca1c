import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.objectives.hydra_heads import HEADS, HeadName, mirror, origin, spark, weave
from microgpt_evolution.objectives.judge import normal

KNOWN = frozenset(["anna", "isabella"])

# Worked by hand from SOURCES.md, B5. All values are exact in binary.


@pytest.mark.parametrize(
    ("head", "scores"),
    [
        (weave, {"kamon": 1.0, "anna": 1.0, "bob": 0.0, "abcd": 0.0, "aaaa": -1.0, "axxxxb": -2.0,
                 "yayab": -1.0, "zubeqizu": 1.0, "zubeqizub": 0.0, " KaMon ": 1.0, "ab": None,
                 "ab1": None, "": None}),  # that anna is known is not the Weaver's concern
        (mirror, {"nannan": 5.5, "lelel": 5.0, "aaaa": 5.5, "anna": 3.5, "bob": 3.0, "mama": 2.5,
                  "kamon": 0.5, "karai": 0.0, "1-1": 3.0, " MaMa ": 2.5, "aa": None, "": None}),
        (spark, {"kamonu": 2.0, "kamonus": 2.5, "anna": -5.0, "isabella": -4.5, " ANNA ": -5.0,
                 "x-1": 2.0, "ab": None, "": None}),
    ],
)  # fmt: skip
def test_a_head_scores_a_name_as_in_evolve_rust(head, scores) -> None:
    assert {name: head(name, KNOWN) for name in scores} == scores


@pytest.mark.parametrize(("loss", "score"), [(2.0, 0.5), (0.25, 4.0), (0.0, 1e4), (-1.0, 1e4)])
def test_the_origin_rewards_a_low_loss(loss, score) -> None:
    assert origin(loss) == score


def test_each_head_has_a_title_and_a_quality() -> None:
    assert tuple(HEADS) == get_args(HeadName)
    assert {head.title: head.quality for head in HEADS.values()} == {
        "Weaver": "Flow",
        "Mirror": "Symmetry",
        "Spark": "Creativity",
        "Origin": "Loss",
    }
    scores = [head.score for head in HEADS.values()]
    assert scores == [weave, mirror, spark, None]


@given(name=st.text() | st.text("abny"), is_known=st.booleans())
def test_any_text_is_scored_within_bounds_or_left_out(name, is_known) -> None:
    word = normal(name)
    known = frozenset([word] if is_known else [])
    woven, mirrored, sparked = weave(name, known), mirror(name, known), spark(name, known)
    assert (mirrored is None) == (sparked is None) == (len(word) < 3)
    assert (woven is None) == (len(word) < 3 or not word.isalpha())
    if woven is not None:
        assert math.isfinite(woven)
        assert 2 - len(word) <= woven <= 1
    if mirrored is not None:
        assert 0 <= mirrored <= 5.5
    if sparked is not None:
        assert sparked in ((-5.0, -4.5) if is_known else (2.0, 2.5))
