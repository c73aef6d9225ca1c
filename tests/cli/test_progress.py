import itertools
import re

import pytest

from microgpt import Place, TrainEvent
from microgpt_cli.terminal import progress_bar as progress


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> None:
    """A clock that goes on by a millisecond when it is read, however busy the machine is."""
    ticks = itertools.count()
    monkeypatch.setattr(progress, "perf_counter", lambda: next(ticks) / 1000)


def test_progress_prints_a_line_for_each_tenth_of_the_work(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0)
    with progress.TrainingProgress() as shown:
        for step in range(5, 1001, 5):
            seconds = step / 5000
            shown.update(TrainEvent(step, 1000, (2.5,) * 5, n_docs=5, n_tokens=35, seconds=seconds))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    line = r"step +(\d+) / 1000 \| 0 s left \| mean loss 2\.500, last 2\.500 \| [\d,]+ tokens/s"
    tenths = [re.fullmatch(line, each).group(1) for each in lines]
    assert tenths == [str(100 * i) for i in range(1, 11)]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (
            {"place": Place("teacher 2 of 3", 100, 300)},
            r"step +150 / +500 \| \? left \| teacher 2 of 3 \| mean",
        ),
        ({"mark": " (contamination 5 %)"}, r"held out 2\.000 \(contamination 5 %\) \| "),
    ],
)
def test_the_progress_tells_of_the_model_and_its_losses(
    monkeypatch, capsys, options, shown
) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0)
    with progress.TrainingProgress(**options) as bar:
        bar.update(TrainEvent(50, 100, losses=(2.5,) * 50, n_docs=50, n_tokens=350, val_loss=2.0))
    assert re.search(shown, capsys.readouterr().err)
