import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from commands import refused

from microgpt import HistoryPoint, ModelConfig, TrainConfig, TrainingDirectory, train

POINTS = [
    HistoryPoint(10 * i, 2 + 1 / i, 2.2 + 1 / i if i % 5 == 0 else None) for i in range(1, 21)
]
CONFIG = TrainConfig(steps=1, engine="reference")
RESULT = train(["ab"], model=ModelConfig(n_embd=2, n_head=1, block_size=2), config=CONFIG)


def trained(directory: Path, history: Sequence[HistoryPoint] = POINTS) -> Path:
    """Write the state of a training run, which is all that `plot` needs."""
    with TrainingDirectory(directory) as held:
        held.keep(RESULT.plan, replace(RESULT.state, history=tuple(history)))
    return directory


@pytest.mark.slow
def test_plot_draws_runs_of_any_name_as_a_png_and_an_svg(microgpt, tmp_path) -> None:
    for name in ("names-model", "<b>&amp;", "two\nlines", os.fsdecode(b"caf\xe9"), "名前"):
        trained(tmp_path / name)
    names = sorted(os.listdir(tmp_path))
    done = microgpt("plot", *names)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "curves.png\ncurves.svg\n"
    assert {*os.listdir(tmp_path)} == {"curves.png", "curves.svg", *names}
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    svg = (tmp_path / "curves.svg").read_text()
    assert svg.startswith("<svg")
    shown = ("names-model", "held-out", "2.250 at step 200", "&lt;b&gt;&amp;amp;")
    for text in (*shown, r"two\nlines", r"caf\udce9", "名前"):
        assert text in svg


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["begun"], "begun has no losses yet; train for"),
        (["broken"], "broken/train_state.json: invalid JSON: EOF"),
        (["empty"], "empty has no checkpoint; use another directory"),
        (["nowhere"], "nowhere does not exist; use another directory"),
        (["begun", "--output", "x.gif"], "the chart must be a .png or .svg file, got x.gif"),
        ([], "output "),
    ],
)
def test_plot_refuses_other_formats_and_empty_runs(microgpt, tmp_path, args, problem) -> None:
    trained(tmp_path / "begun", ())
    (trained(tmp_path / "broken") / "train_state.json").write_text('{"step": 20, "lo')
    (tmp_path / "empty").mkdir()
    assert refused(microgpt("plot", *args)).startswith(problem)
    assert sorted(os.listdir(tmp_path)) == ["begun", "broken", "empty"]
