from math import nan

from microgpt import TrainConfig
from microgpt.training.history_file import HistoryPoint
from microgpt.training.loss_history import LossHistory


def test_steps_without_targets_are_excluded_from_the_mean_loss() -> None:
    history = LossHistory(TrainConfig(steps=1000), None)  # a point every second step
    history.add([2.0, nan, nan, nan, 3.0, 4.0])
    assert history.points == [HistoryPoint(2, 2.0), HistoryPoint(6, 3.5)]
    assert [*history.recent] == [2.0, 3.0, 4.0]


def test_the_held_out_loss_after_a_step_without_targets_is_kept() -> None:
    history = LossHistory(TrainConfig(steps=4), None)
    history.add([2.0, nan])
    history.mark(1.5)
    history.add([3.0])
    history.mark(1.25)
    assert history.points == [HistoryPoint(2, 2.0, 1.5), HistoryPoint(3, 3.0, 1.25)]
    history.add([nan])
    history.mark(1.0)
    assert history.points[1:] == [HistoryPoint(3, 3.0, 1.25), HistoryPoint(4, 3.0, 1.0)]
