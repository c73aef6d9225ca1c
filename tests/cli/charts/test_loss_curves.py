import json

import pytest

from microgpt.training.history_file import HistoryPoint
from microgpt_cli.charts.look import COLORS
from microgpt_cli.charts.loss_curves import draw, range_of_losses
from microgpt_cli.charts.training_runs import TrainingRun


def run_of(*losses: float, label: str = "model", val_loss: float | None = None) -> TrainingRun:
    """Return a training run with a point every 10 steps."""
    points = [HistoryPoint(10 * i, loss, val_loss) for i, loss in enumerate(losses, start=1)]
    return TrainingRun(label, points, settings={}, test_loss=None)


def test_the_loss_axis_cuts_off_the_high_losses_at_the_start() -> None:
    low, high = range_of_losses([run_of(30.0, *[2.5 - i / 1000 for i in range(400)])])
    assert 2.0 < low < 2.12
    assert 2.5 < high < 4
    run = run_of(3.3, 2.9, 2.8, *[2.7 - i / 250 for i in range(97)])
    low, high = range_of_losses([run])
    assert low < 2.316
    assert high > run.smoothed[0][1]


@pytest.mark.parametrize("loss", [0.0, 2.5, 1e300])
def test_the_loss_axis_extends_beyond_a_single_loss(loss: float) -> None:
    low, high = range_of_losses([run_of(loss)])
    assert low < loss < high


@pytest.mark.parametrize("n_runs", [1, 2, len(COLORS) + 1, 30])
def test_the_legend_has_every_training_run(n_runs: int) -> None:
    runs = [run_of(3.0, 2.0, label=f"run {i}", val_loss=2.5) for i in range(n_runs)]
    scale = draw(runs).to_dict()["layer"][0]["encoding"]["color"]["scale"]
    names = [text.split(":")[0] for text in scale["domain"]]
    assert names == [run.label for run in runs]


def test_contaminated_losses_are_marked_in_the_chart() -> None:
    points = [HistoryPoint(10, 2.0, 1.5)]
    marks = (" (contamination 60 %)", " (contamination unknown)")
    run = TrainingRun("model", points, {"seed": 1}, 1.6, *marks)
    text = json.dumps(draw([run]).to_dict())
    assert "best 1.500 at step 10 (contamination 60 %)" in text
    assert "test loss (contamination unknown): 1.600 nats per token" in text
