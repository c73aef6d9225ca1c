from pathlib import Path

import pytest
from commands import ok
from trainings import training_of

from microgpt import ModelConfig, count_params
from microgpt.settings import PRESETS, preset_settings, with_given

PRESETS_PAGE = Path(__file__).parents[2] / "docs/training.md"


@pytest.mark.parametrize("name", PRESETS)
def test_the_docs_list_each_preset_with_its_size(name) -> None:
    lines = PRESETS_PAGE.read_text().splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    if PRESETS[name].get("data") == "names.txt":
        model = with_given(ModelConfig(), {**preset_settings(name), "vocab_size": 27})
        assert f"| {count_params(model):,} |" in row


@pytest.mark.slow
def test_the_text_preset_holds_out_parts_of_shakespeare(microgpt, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(PRESETS["text"], "data", "shakespeare.txt")
    options = ("train", "--preset", "text", "--steps", "2", "--n-embd", "8", "--n-layer", "1")
    done = ok(microgpt(*options, "--block-size", "8", "--num-samples", "0"))
    assert "note: data/shakespeare.txt not found; using the bundled shakespeare.txt" in done.stderr
    assert "; 20 held-out stretches with gaps of 8 characters" in done.stderr
    training = training_of(tmp_path / "output")
    assert (training["text"], training["gap"]) == ("stream", 8)
    ok(microgpt("train", "--resume", "output", "--steps", "3"))
