import json
from pathlib import Path

import pytest

from microgpt.training.history_file import HISTORY, HistoryPoint, encode_history
from microgpt_cli.charts.look import COLORS
from microgpt_cli.charts.loss_curves import TrainingRun, draw, read_training_runs

META = {"vocab_size": 3, "n_embd": 16, "n_head": 4, "n_layer": 1, "block_size": 8, "chars": ["a"]}


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


def test_contamination_marks_are_read_from_the_model_or_state(tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_bytes(encode_history([HistoryPoint(100, 2.0, 1.5)]))
    (run,) = read_training_runs([tmp_path, tmp_path])
    assert run.val_mark == " (contamination unknown)"
    (tmp_path / "train_state.json").write_text('{"contamination": {"validation": 1}}')
    (run,) = read_training_runs([tmp_path])
    assert run.val_mark == " (contamination 100 %)"
    training = {"steps": 100, "contamination": {"validation": 0.5}}
    (tmp_path / "meta.json").write_text(json.dumps(META | {"training": training}))
    (run,) = read_training_runs([tmp_path])
    assert run.val_mark == " (contamination 50 %)"
