from types import SimpleNamespace

import pytest

from microgpt_exports.comparison import Comparison


@pytest.mark.parametrize(
    ("facts", "quantization", "passes"),
    [
        ({}, None, True),
        ({"largest": 0.0011}, None, False),
        ({"largest": float("nan")}, None, False),
        ({"n_equal": (2, 2)}, None, False),
        ({"cost": 0.06}, None, True),
        ({"cost": 0.05}, "int8", True),
        ({"cost": 0.06}, "int8", False),
        ({"cost": float("nan")}, "int8", False),
    ],
)
def test_an_export_passes_within_each_limit(facts, quantization, passes) -> None:
    continuations = [SimpleNamespace(tokens=(1, 2)), SimpleNamespace(tokens=(1, 2, 3))]
    receipt = SimpleNamespace(continuations=continuations, quantization=quantization)
    same = {"texts": (), "n_equal": (2, 3), "largest": 0.001, "cost": 0.0}
    assert Comparison(**{**same, **facts}).passes(receipt) == passes
