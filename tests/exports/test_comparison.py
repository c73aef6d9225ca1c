from types import SimpleNamespace

import pytest

from microgpt_exports.comparison import Comparison


@pytest.mark.parametrize(
    ("facts", "passes"),
    [
        ({}, True),
        ({"largest": 0.0011}, False),
        ({"largest": float("nan")}, False),
        ({"n_equal": (2, 2)}, False),
    ],
)
def test_an_export_passes_within_each_limit(facts, passes) -> None:
    continuations = [SimpleNamespace(tokens=(1, 2)), SimpleNamespace(tokens=(1, 2, 3))]
    receipt = SimpleNamespace(continuations=continuations)
    same = {"texts": (), "n_equal": (2, 3), "largest": 0.001}
    assert Comparison(**{**same, **facts}).passes(receipt) == passes
