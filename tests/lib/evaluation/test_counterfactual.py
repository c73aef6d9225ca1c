import math

import pytest

from microgpt.evaluation.counterfactual import Baseline, bits_per_document
from microgpt.evaluation.explanation import explain
from microgpt.evaluation.scoring import Scorer


def test_the_spread_includes_the_seed_of_the_model() -> None:
    baseline = Baseline(4.0, (1.0, 4.0))
    assert baseline.spread == pytest.approx(math.sqrt(3))
    change = baseline.change_to(1.0)
    assert change._asdict() == {"bits": 1.0, "change": -3.0, "times": pytest.approx(-math.sqrt(3))}


def test_the_spread_is_unknown_without_other_seeds() -> None:
    assert Baseline(4.0).change_to(5.0) == (5.0, 1.0, None)
    assert Baseline(4.0, (4.0,)).change_to(5.0).times is None
    assert Baseline(4.0).facts() == {"bits": 4.0, "seeds": [], "spread": None}


def test_the_bits_of_a_text_equal_those_of_explain_and_score(text) -> None:
    names = ["anna", "mia"]
    bits = [bits_per_document(text, [name], loss_on="assistant", text="lines") for name in names]
    for name, each in zip(names, bits, strict=True):
        assert each == pytest.approx(explain(text, name).bits, abs=1e-4)
        assert each == pytest.approx(Scorer(text).score([name])[0].bits, abs=1e-4)
    mean = bits_per_document(text, names, loss_on="assistant", text="lines")
    assert mean == pytest.approx(sum(bits) / 2, abs=1e-4)
