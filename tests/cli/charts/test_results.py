import sys
from dataclasses import replace

import pytest

from microgpt import InferenceGpt, TrainConfig, train
from microgpt.errors import MicrogptError

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
    with pytest.raises(MicrogptError, match="there are no losses to plot"):
        empty.plot()


def test_plot_says_which_extra_is_missing(result, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(MicrogptError, match=r"pip install 'microgpt-cli\[plots\]'"):
        result.plot()
