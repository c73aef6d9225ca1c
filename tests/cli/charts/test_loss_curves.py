from dataclasses import replace
from pathlib import Path

import pytest

from microgpt import HistoryPoint, ModelConfig, TrainConfig, TrainingDirectory, train
from microgpt_cli.charts import COLORS, TrainingRun, draw, read_training_runs


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
    (rows,) = (rows for rows in drawn["datasets"].values() if rows)
    assert [row["loss"] for row in rows] == [point.loss for point in points]
    assert [rows[0]["mean"], rows[1]["mean"], rows[40]["mean"]] == pytest.approx([0, 1 / 3, 0.4])


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
