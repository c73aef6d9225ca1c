"""Karpathy's run, whole, as a new user starts it."""

import json
from pathlib import Path

import pytest
from commands import ok

from microgpt.config import TrainConfig
from microgpt.data.documents import bundled, load_text
from microgpt.storage.training_directory import read_training
from microgpt.training.train import train

LONG = (pytest.mark.slow, pytest.mark.long)
ENGINES = [
    pytest.param("compiled", "float32", 1e-4, id="compiled float32"),  # measured: 3e-6
    pytest.param("compiled", "float64", 1e-9, id="compiled float64"),
    pytest.param("reference", "float64", 1e-9, id="reference", marks=LONG),
]


@pytest.mark.parametrize(("engine", "dtype", "tolerance"), ENGINES)
def test_each_engine_reproduces_the_golden_run_and_weights(
    microgpt, golden, tmp_path, engine, dtype, tolerance
) -> None:
    done = ok(microgpt("train", "--engine", engine, "--dtype", dtype))
    assert "step 1000 / 1000 | loss 2.6497" in done.stdout
    samples = [line[11:] for line in done.stdout.splitlines() if line.startswith("sample ")]
    assert samples == golden["names"]
    weights = json.loads(Path(tmp_path, "output", "weights.json").read_text())
    for name, first in golden["final_first5"].items():
        assert weights[name][0][:5] == pytest.approx(first, abs=tolerance)
    assert json.loads(Path(tmp_path, "output", "meta.json").read_text())["dtype"] == dtype
    if dtype == "float64":
        found = [point.loss for point in read_training(tmp_path / "output")[1].history]
        pairs = zip(golden["losses"][::2], golden["losses"][1::2], strict=True)
        assert found == pytest.approx([(a + b) / 2 for a, b in pairs], rel=0, abs=1e-9)


def test_float64_training_reproduces_every_golden_loss(golden) -> None:
    """Those of the reference, which takes long, are compared above, two by two."""
    losses = train(load_text(bundled("names.txt")), config=TrainConfig(dtype="float64")).losses
    assert len(losses) == 1000
    assert max(abs(a - b) for a, b in zip(losses, golden["losses"], strict=True)) < 1e-9
