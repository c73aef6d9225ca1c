"""`examples/karpathy.py` gives the golden run."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from microgpt import load_text
from microgpt.data.documents import bundled
from microgpt.training.train import train

SCRIPT = Path(__file__).parents[2] / "examples" / "karpathy.py"


def test_its_first_losses_are_those_of_the_reference_engine_to_the_last_bit(monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "8"])
    page = runpy.run_path(str(SCRIPT))
    losses: list[float] = []
    train(
        load_text(bundled("names.txt")),
        engine="reference",
        on_event=lambda event: losses.extend(event.losses),
        should_stop=lambda: len(losses) >= 8,
    )
    assert page["losses"] == losses[:8]


@pytest.mark.slow
def test_its_thousand_losses_and_twenty_names_are_karpathys(golden, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    page = runpy.run_path(str(SCRIPT))
    assert page["losses"] == pytest.approx(golden["losses"], abs=1e-9, rel=0)
    assert page["samples"] == golden["names"]


def test_it_runs_as_its_docstring_says() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "1"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("num docs: 32033\nvocab size: 27\nnum params: 4192\n")
    assert "step    1 / 1000 | loss 3.3660" in done.stdout


def test_it_is_one_page() -> None:
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) <= 100
