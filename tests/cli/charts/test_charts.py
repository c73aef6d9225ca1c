"""Tests of charts of training runs: `plot`, `result.plot()`, and the style of all charts."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import altair as alt
import pytest
from commands import refused

from microgpt import HistoryPoint, InferenceGpt, ModelConfig, TrainConfig, TrainingDirectory, train
from microgpt.errors import MicrogptError
from microgpt_cli.charts import COLORS, TrainingRun, draw, picture, read_training_runs

ROWS = [{"x": 1, "y": 1, "name": "a long name at the right"}]
POINTS = [
    HistoryPoint(10 * i, 2 + 1 / i, 2.2 + 1 / i if i % 5 == 0 else None) for i in range(1, 21)
]
CONFIG = TrainConfig(steps=1, engine="reference")
RESULT = train(["ab"], model=ModelConfig(n_embd=2, n_head=1, block_size=2), config=CONFIG)


def trained(directory: Path, history: Sequence[HistoryPoint] = POINTS) -> Path:
    """Write only a training checkpoint, because `plot` needs nothing else."""
    with TrainingDirectory(directory) as held:
        held.keep(RESULT.plan, replace(RESULT.state, history=tuple(history)))
    return directory


def test_a_picture_is_widened_to_fit_text_beyond_its_edge() -> None:
    chart = alt.Chart(alt.InlineData(values=ROWS)).mark_text(align="left", x=300)
    drawn = picture(chart.encode(text="name:N").properties(width=300).to_dict(), "svg").decode()
    width = float(re.search(r'width="([\d.]+)"', drawn)[1])  # type: ignore[index]
    assert width > 300 + 6 * len(ROWS[0]["name"])  # type: ignore[arg-type]


@pytest.mark.parametrize("n_runs", [1, 2, len(COLORS) + 1, 30])
def test_the_chart_legend_lists_each_run_with_its_best_loss(n_runs: int) -> None:
    points = [HistoryPoint(10, 3.0, 2.5), HistoryPoint(20, 2.0, 2.6)]
    runs = [TrainingRun(f"run {i}", points, " (contamination 60 %)") for i in range(n_runs)]
    scale = draw(runs).to_dict()["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == [
        f"run {i}: best 2.500 at step 10 (contamination 60 %)" for i in range(n_runs)
    ]


def test_the_smoothed_loss_is_the_mean_of_nearby_losses() -> None:
    points = [HistoryPoint(i + 1, float(i % 2)) for i in range(80)]
    drawn = draw([TrainingRun("run", points, "")]).to_dict()
    (rows,) = drawn["datasets"].values()
    assert [rows[i]["loss"] for i in (0, 1, 40)] == pytest.approx([0, 1 / 3, 0.4])


@pytest.mark.parametrize(
    ("share", "mark"),
    [(0.0, ""), (1, " (contamination 100 %)"), (None, " (contamination unknown)")],
)
def test_a_run_to_plot_is_marked_unless_its_contamination_is_0(tmp_path: Path, share, mark) -> None:
    plan = replace(RESULT.plan, contamination={"validation": share})
    with TrainingDirectory(tmp_path) as held:
        held.keep(plan, RESULT.state)
    (run,) = read_training_runs([tmp_path])
    assert run.val_mark == mark


def test_a_directory_that_is_given_twice_is_plotted_once(tmp_path) -> None:
    assert len(read_training_runs([trained(tmp_path)] * 2)) == 1


NAMES = ["anna", "emma", "ava", "mia", "ella", "nora", "lena", "ida", "ada", "eva", "<b>", "una"]


@pytest.fixture(scope="module")
def result():
    return train(NAMES, config=TrainConfig(steps=40))


def test_result_plot_shows_model_size_and_losses_up_to_the_end(result, tmp_path) -> None:
    drawn = result.plot().to_dict()
    assert drawn["title"] == f"{InferenceGpt(result).num_params:,} weights"
    assert any(rows[-1].get("step") == 40 for rows in drawn["datasets"].values())
    result.plot().save(tmp_path / "losses.svg")
    assert "nats per token" in (tmp_path / "losses.svg").read_text()


def test_plotting_a_training_run_without_losses_is_refused(result) -> None:
    empty = replace(result, state=replace(result.state, history=()))
    with pytest.raises(MicrogptError, match="has no losses yet; train"):
        empty.plot()


@pytest.mark.slow
def test_plot_writes_a_png_and_an_svg_that_escapes_run_names(microgpt, tmp_path) -> None:
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
        (["nowhere"], "nowhere does not exist; use another directory"),
        (["begun", "--output", "x.gif"], "the chart must be a .png or .svg file, got x.gif"),
        ([], "output "),
    ],
)
def test_plot_refuses_unusable_runs_and_unknown_formats(microgpt, tmp_path, args, problem) -> None:
    trained(tmp_path / "begun", ())
    (trained(tmp_path / "broken") / "train_state.json").write_text('{"step": 20, "lo')
    assert refused(microgpt("plot", *args)).startswith(problem)
    assert sorted(os.listdir(tmp_path)) == ["begun", "broken"]
