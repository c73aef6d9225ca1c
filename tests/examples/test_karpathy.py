import re
import sys
from pathlib import Path

import pytest
from commands import run_process

from microgpt import InferenceGpt, TrainConfig, load_text
from microgpt.data.documents import bundled
from microgpt.training.hooks import OnEvent, StopWhen
from microgpt.training.train import train

SCRIPT = Path(__file__).parents[2] / "examples" / "karpathy.py"
SOURCE = SCRIPT.read_text(encoding="utf-8")


@pytest.mark.parametrize("steps", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_the_script_computes_the_same_steps_as_the_reference(steps, golden) -> None:
    """The reference engine has Karpathy's thousand losses and names; see test_golden_run.py."""
    losses: list[float] = []
    result = train(
        load_text(bundled("names.txt")),
        config=TrainConfig(engine="reference"),
        hooks=[
            OnEvent(lambda event: losses.extend(event.losses)),
            StopWhen(lambda: len(losses) >= steps),
        ],
    )
    n_steps = len(losses)  # it may take a few more before it stops
    loop = "for step in range(num_steps):"
    assert loop in SOURCE
    page = {"__file__": str(SCRIPT)}
    exec(SOURCE.replace(loop, f"for step in range({n_steps}):"), page)
    assert page["losses"] == pytest.approx(losses, rel=1e-12)
    assert page["losses"] == pytest.approx(golden["losses"][:n_steps], abs=1e-9, rel=0)
    assert page["samples"] == InferenceGpt(result, engine="reference").generate(
        20, rng=result.rng()
    )


@pytest.mark.slow
@pytest.mark.long
def test_the_karpathy_script_prints_the_golden_run(golden) -> None:
    done = run_process([sys.executable, SCRIPT], check=True)
    assert done.stdout.startswith("num docs: 32033\nvocab size: 27\nnum params: 4192\n")
    assert "step 1000 / 1000 | loss 2.6497" in done.stdout
    names = [line[11:] for line in done.stdout.splitlines() if line.startswith("sample ")]
    assert names == golden["names"]


def test_the_script_is_short_and_needs_only_the_standard_library() -> None:
    imported = re.findall(r"(?m)^(?:from|import) (\w+)", SOURCE)
    assert {*imported} <= sys.stdlib_module_names
    assert len(SOURCE.splitlines()) <= 220
