import itertools
import re
from io import StringIO

import pytest
from commands import ok
from rich.console import Console

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
    line = (
        r"step +(\d+) / 1000 \| mean loss 2\.500, last 2\.500 \| "
        r"[\d,]+ docs/s, [\d,]+ tokens/s \| 0 s left"
    )
    tenths = [re.fullmatch(line, each).group(1) for each in lines]
    assert tenths == [str(100 * i) for i in range(1, 11)]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (
            {"place": Place("teacher 2 of 3", 100, 300)},
            r"step +150 / +500 \| teacher 2 of 3 \| mean",
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


def test_a_narrow_terminal_shows_all_figures(monkeypatch) -> None:
    console = Console(file=StringIO(), force_terminal=True, width=40)
    monkeypatch.setattr(progress, "rich_console", lambda: console)
    with progress.TrainingProgress(mark=" (contamination unknown)") as shown:
        shown.update(TrainEvent(50, 100, losses=(2.5,) * 50, n_docs=50, n_tokens=350, val_loss=2.0))
        lines = " ".join(console.file.getvalue().split())
    assert "held out 2.000 (contamination unknown) | " in lines
    assert lines.endswith(" tokens/s")


@pytest.mark.parametrize(("lr", "is_told"), [("1e6", True), ("1e-9", True), ("0.03", False)])
def test_train_ends_with_a_note_if_it_has_learned_nothing(microgpt, tmp_path, lr, is_told) -> None:
    (tmp_path / "names.txt").write_text("anna\nemma\nolivia\nava\n")
    options = ("--data=names.txt", "--preset=karpathy", "--steps=60", "-n0", "--learning-rate", lr)
    told = ok(microgpt("train", *options)).stderr
    assert ("no better than a uniform guess" in told) == is_told
    assert (f"--learning-rate 0.01 instead of {float(lr):g}" in told) == is_told
