"""`examples/karpathy.py` gives the golden run."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from microgpt import InferenceGpt, load_text
from microgpt.data.documents import bundled
from microgpt.training.train import train

SCRIPT = Path(__file__).parents[2] / "examples" / "karpathy.py"


@pytest.mark.parametrize("steps", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_its_losses_and_names_are_those_of_the_reference_engine_to_the_last_bit(
    steps, golden, monkeypatch
) -> None:
    """The reference engine has Karpathy's thousand losses and names; see test_golden_run.py."""
    losses: list[float] = []
    result = train(
        load_text(bundled("names.txt")),
        engine="reference",
        on_event=lambda event: losses.extend(event.losses),
        should_stop=lambda: len(losses) >= steps,
    )
    n_steps = len(losses)  # it may take a few more before it stops
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(n_steps)])
    page = runpy.run_path(str(SCRIPT))
    assert page["losses"] == losses == pytest.approx(golden["losses"][:n_steps], abs=1e-9, rel=0)
    assert page["samples"] == InferenceGpt(result, engine="reference").generate(
        20, rng=result.rng()
    )


def test_it_runs_as_its_docstring_says() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "1"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("num docs: 32033\nvocab size: 27\nnum params: 4192\n")
    assert "step    1 / 1000 | loss 3.3660" in done.stdout


@pytest.mark.parametrize("arg", ["1001", "0", "-1", "abc", "--help"])
def test_it_says_how_many_steps_it_can_do(arg, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), arg])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT))
    assert ended.value.code == 2
    usage = f"usage: karpathy.py [STEPS], STEPS from 1 to 1000; got {arg!r}\n"
    assert capsys.readouterr() == ("", usage)


def test_it_is_one_page() -> None:
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) <= 100
