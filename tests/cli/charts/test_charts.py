"""What all charts share: colors that can be seen, axes that say what they are, and words."""

import re
from dataclasses import replace
from pathlib import Path

import altair as alt
import pytest

from microgpt import HistoryPoint, InferenceGpt, ModelConfig, TrainConfig, TrainingDirectory, train
from microgpt.errors import MicrogptError
from microgpt_cli.charts import (
    COLORS,
    TrainingRun,
    draw,
    picture,
    read_training_runs,
)

ROWS = [{"x": 1, "y": 1, "name": "a long name at the right"}]


def test_a_picture_is_wide_enough_for_its_longest_text() -> None:
    chart = alt.Chart(alt.InlineData(values=ROWS)).mark_text(align="left", x=300)
    drawn = picture(chart.encode(text="name:N").properties(width=300).to_dict(), "svg").decode()
    width = float(re.search(r'width="([\d.]+)"', drawn)[1])  # type: ignore[index]
    assert width > 300 + 6 * len(ROWS[0]["name"])  # type: ignore[arg-type]


@pytest.mark.parametrize("n_runs", [1, 2, len(COLORS) + 1, 30])
def test_the_legend_has_every_training_run(n_runs: int) -> None:
    points = [HistoryPoint(10, 3.0, 2.5), HistoryPoint(20, 2.0, 2.6)]
    runs = [TrainingRun(f"run {i}", points, " (contamination 60 %)") for i in range(n_runs)]
    scale = draw(runs).to_dict()["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == [
        f"run {i}: best 2.500 at step 10 (contamination 60 %)" for i in range(n_runs)
    ]


def test_the_smoothed_loss_is_a_mean_of_near_points() -> None:
    points = [HistoryPoint(i + 1, float(i % 2)) for i in range(80)]
    drawn = draw([TrainingRun("run", points, "")]).to_dict()
    (rows,) = drawn["datasets"].values()
    assert [rows[i]["loss"] for i in (0, 1, 40)] == pytest.approx([0, 1 / 3, 0.4])


@pytest.mark.parametrize(
    ("share", "mark"),
    [(0.0, ""), (1, " (contamination 100 %)"), (None, " (contamination unknown)")],
)
def test_contamination_marks_are_read_from_the_state(tmp_path: Path, share, mark) -> None:
    config = TrainConfig(steps=1, engine="reference")
    result = train(["ab"], model=ModelConfig(n_embd=2, n_head=1, block_size=2), config=config)
    plan = replace(result.plan, contamination={"validation": share})
    with TrainingDirectory(tmp_path / "run") as held:
        held.keep(plan, result.state)
    (run,) = read_training_runs([tmp_path / "run", tmp_path / "run"])
    assert run.val_mark == mark


NAMES = ["anna", "emma", "ava", "mia", "ella", "nora", "lena", "ida", "ada", "eva", "<b>", "una"]


@pytest.fixture(scope="module")
def result():
    return train(NAMES, config=TrainConfig(steps=40))


def test_plot_shows_every_training_point_and_can_be_saved(result, tmp_path) -> None:
    drawn = result.plot().to_dict()
    assert drawn["title"] == f"{InferenceGpt(result).num_params:,} weights"
    assert any(rows[-1].get("step") == 40 for rows in drawn["datasets"].values())
    result.plot().save(tmp_path / "losses.svg")
    assert "nats per token" in (tmp_path / "losses.svg").read_text()


def test_plotting_a_training_run_without_losses_is_refused(result) -> None:
    empty = replace(result, state=replace(result.state, history=()))
    with pytest.raises(MicrogptError, match="has no losses yet; train"):
        empty.plot()
