import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.training.history_file import HISTORY, HistoryPoint, encode_history
from microgpt_cli.charts.training_runs import (
    MAX_SMOOTHED,
    TrainingRun,
    differing,
    read_training_runs,
)

META = {"vocab_size": 3, "n_embd": 16, "n_head": 4, "n_layer": 1, "block_size": 8, "chars": ["a"]}
LOSSES = st.lists(st.floats(0, 1e6), min_size=1, max_size=3 * MAX_SMOOTHED)


def run_of(losses: list[float], every: int = 10) -> TrainingRun:
    """Return a training run that kept a loss every so many steps."""
    points = [HistoryPoint(every * i, loss) for i, loss in enumerate(losses, start=1)]
    return TrainingRun("model", points, settings={}, test_loss=None)


@pytest.fixture
def trained(tmp_path: Path):
    """Write a model directory and return its path."""

    def write(name: str, *, steps: int | None = None, **training: object) -> Path:
        directory = tmp_path / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / HISTORY).write_bytes(
            encode_history([HistoryPoint(50, 2.5), HistoryPoint(100, 2.0)])
        )
        if steps:
            described = META | {"training": {"steps": steps, **training}}
            (directory / "meta.json").write_text(json.dumps(described))
        return directory

    return write


@given(LOSSES)
def test_the_smoothed_loss_stays_within_the_range_of_the_losses(losses: list[float]) -> None:
    run = run_of(losses)
    assert len(run.smoothed) <= MAX_SMOOTHED
    assert run.smoothed[-1][0] == 10 * len(losses)
    slack = 1e-9 * max(losses)  # what rounding may add
    for _, loss in run.smoothed:
        assert min(losses) - slack <= loss <= max(losses) + slack


def test_training_runs_have_names_or_paths_that_differ(trained, tmp_path, monkeypatch) -> None:
    paths = [trained("mon/model"), trained("tue/model")]
    monkeypatch.chdir(tmp_path)
    labels = [run.label for run in read_training_runs([Path("mon/model"), Path("tue/model")])]
    assert labels == ["mon/model", "tue/model"]
    monkeypatch.chdir(paths[0])
    assert [run.label for run in read_training_runs([Path()])] == ["model"]


def test_a_directory_named_twice_counts_once(trained, tmp_path) -> None:
    one, two, link = trained("one"), trained("two"), tmp_path / "link"
    link.symlink_to(one)
    runs = read_training_runs([one, two, link, two / ".." / "two"])
    assert [run.label for run in runs] == ["link", "two"]


def test_differing_returns_the_settings_that_differ(trained) -> None:
    one = trained("one", steps=100, lr=0.5, seed=42)
    two = trained("two", steps=100, lr=0.25, seed=42, patience=3)
    assert differing(read_training_runs([one, two, trained("running")])) == ["lr", "patience"]
    described = META | {"training": {"steps": 100, "lr": 0.5, "seed": 42}}
    (two / "meta.json").write_text(json.dumps(described | {"tokenizer": "bpe", "vocab_size": 300}))
    assert differing(read_training_runs([one, two])) == ["tokenizer", "vocab_size"]


def test_contamination_marks_are_read_from_the_model_or_state(trained) -> None:
    shares = {"validation": 0.5, "test": 0}
    (run,) = read_training_runs([trained("child", steps=100, contamination=shares)])
    assert (run.val_mark, run.test_mark) == (" (contamination 50 %)", "")
    directory = trained("unfinished")
    (directory / "train_state.json").write_text('{"contamination": {"validation": 1}}')
    (run,) = read_training_runs([directory])
    assert run.val_mark == " (contamination 100 %)"
    (run,) = read_training_runs([trained("history-alone")])
    assert run.val_mark == " (contamination unknown)"
