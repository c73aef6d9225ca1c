"""Karpathy's run, whole, as a new user starts it."""

import json
from pathlib import Path

import pytest


@pytest.mark.slow
def test_train_with_no_option_prints_the_golden_transcript(microgpt, golden, tmp_path) -> None:
    done = microgpt("train")
    assert done.returncode == 0
    names = [f"sample {i:2d}: {name}" for i, name in enumerate(golden["names"], start=1)]
    assert done.stdout.splitlines() == [
        "num docs: 32033",
        "vocab size: 27",
        "num params: 4192",
        "step 1000 / 1000 | loss 2.6497",
        "",
        "--- inference (new, hallucinated names) ---",
        *names,
    ]
    weights = json.loads(Path(tmp_path, "output", "weights.json").read_text())
    for name, first in golden["final_first5"].items():
        assert weights[name][0][:5] == pytest.approx(first, abs=1e-9)


@pytest.mark.slow
def test_each_of_the_thousand_losses_is_the_golden_one(golden) -> None:
    from microgpt.data import bundled, load_text
    from microgpt.train import train

    losses = train(load_text(bundled("names.txt"))).losses
    assert len(losses) == 1000
    assert max(abs(a - b) for a, b in zip(losses, golden["losses"], strict=True)) < 1e-9
