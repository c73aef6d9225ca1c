"""How much of the differences in worth goes with a gene, against cases worked by hand."""

import pytest

from microgpt_report.charts.genes import importance


def test_gene_importance_agrees_with_a_hand_calculation() -> None:
    values = [1, 1, 1, 2, 2, 2, 3, 3, 3]
    found = importance("n_layer", values, [3, 2, 1, 6, 5, 4, 9, 8, 7])
    assert found
    # H = 12 / (9·10) · (6² + 15² + 24²) / 3 − 3·10 = 7.2; η² = (7.2 − 3 + 1) / (9 − 3)
    assert found.share == pytest.approx(5.2 / 6)
    assert found.chance == pytest.approx((5.991 - 3 + 1) / 6)  # χ² of two degrees of freedom
    assert found.word == "larger is better"


def test_only_a_monotonic_gene_effect_has_a_direction() -> None:
    values = [0.001 * i for i in range(1, 41)]
    found = importance("lr", values, [-abs(value - 0.0205) for value in values])
    assert found
    assert found.share > 0.5 > found.chance
    assert (abs(found.correlation) < 0.05, found.word) == (True, "")
    found = importance("lr", range(1, 21), range(20, 0, -1))
    assert found
    assert (found.correlation, found.word) == (pytest.approx(-1), "smaller is better")


@pytest.mark.parametrize(
    ("values", "worths"),
    [([1, 1, 1, 1], [1, 2, 3, 4]), ([1, 2, 3, 4], [5, 5, 5, 5]), ([1, 2], [1, 2])],
)
def test_no_gene_importance_is_computed_from_too_few_results(values, worths) -> None:
    assert importance("g", values, worths) is None
