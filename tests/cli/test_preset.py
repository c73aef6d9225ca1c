import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import commands
import pytest
from commands import ok, refused

from microgpt.model_config import count_params
from microgpt.training.presets import PRESETS

PRESETS_PAGE = Path(__file__).parents[2] / "docs/training.md"
FEW_CONVERSATIONS = """
from dataclasses import replace
from microgpt.training.presets import PRESETS
PRESETS["chat"] = replace(PRESETS["chat"], n_conversations=500)
PRESETS["text"] = replace(PRESETS["text"], data="shakespeare")
from microgpt_cli.main import main
main()
"""


@pytest.fixture
def with_few(tmp_path):
    """Run the command with a chat preset of few conversations, and a text preset with a text."""

    def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", FEW_CONVERSATIONS, *args]
        return commands.run_process(command, cwd=tmp_path)

    return run


@pytest.mark.parametrize("name", PRESETS)
def test_the_docs_list_each_preset_with_its_size(name) -> None:
    lines = PRESETS_PAGE.read_text().splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    if PRESETS[name].data == "names":
        model = replace(PRESETS[name].model, vocab_size=27)
        assert f"| {count_params(model):,} |" in row


@pytest.mark.slow
def test_the_names_preset_holds_out_validation_and_test_sets(microgpt, tmp_path) -> None:
    done = ok(microgpt("train", "--preset", "names-10s", "--steps", "3", "--num-samples", "0"))
    note = "23591 documents for training, 2993 for validation, 2910 for testing; 2539 duplicates "
    assert f"{note}are left out\n" in done.stderr
    assert done.stdout.startswith("num docs: 32033\nvocab size: 27\nnum params: 57888\n")
    meta = json.loads((tmp_path / "output" / "meta.json").read_text())
    known = {"preset": "names-10s", "steps": 3, "batch_size": 128, "lr": 0.004, "optimizer": "muon"}
    known |= {"dropout": 0.03, "weight_decay": 0.1, "average_tail": 0.3}
    known |= {"val_fraction": 0.1, "test_fraction": 0.1}
    assert meta["training"].items() >= known.items()


@pytest.mark.slow
def test_options_override_the_settings_of_the_text_preset(microgpt, tmp_path) -> None:
    (tmp_path / "my.txt").write_text("\n".join(f"this is sentence {i}" for i in range(50)))
    options = ("train", "--preset", "text", "--input", "my.txt", "--steps", "2", "--n-layer", "1")
    done = ok(microgpt(*options, "--batch-size", "1", "--num-samples", "0"))
    assert " for validation, " in done.stderr
    meta = json.loads((tmp_path / "output" / "meta.json").read_text())
    assert (meta["n_embd"], meta["n_layer"], meta["block_size"]) == (96, 1, 128)
    assert (meta["training"]["dropout"], meta["training"]["n_docs"]) == (0.05, 50)
    whole = ("--val-fraction", "0", "--test-fraction", "0", "--dropout", "0")
    done = ok(microgpt(*options, *whole, "--batch-size", "1", "--num-samples", "0", "--force"))
    assert "held out" not in done.stderr
    training = json.loads((tmp_path / "output" / "meta.json").read_text())["training"]
    assert not training.keys() & {"dropout", "val_fraction", "test_fraction", "val_loss"}


@pytest.mark.slow
def test_the_chat_preset_sets_options_and_is_recorded(with_few, tmp_path) -> None:
    ok(with_few("train", "--preset", "chat", "--steps", "2", "--batch-size", "3"))
    meta = json.loads((tmp_path / "output" / "meta.json").read_text())
    assert (meta["n_embd"], meta["n_layer"], meta["n_ff_exp"]) == (96, 4, 1)
    assert "end_turn" in meta["special_tokens"]
    training = meta["training"]
    assert (training["preset"], training["steps"], training["batch_size"]) == ("chat", 2, 3)


def test_the_text_preset_holds_out_stretches_of_shakespeare(with_few, tmp_path) -> None:
    options = ("train", "--preset", "text", "--steps", "2", "--n-embd", "8", "--n-layer", "1")
    done = ok(with_few(*options, "--block-size", "8", "--num-samples", "0"))
    assert "note: data/shakespeare.txt not found; using the bundled shakespeare.txt" in done.stderr
    assert "; 20 held-out stretches with gaps of 8 characters" in done.stderr
    training = json.loads((tmp_path / "output" / "meta.json").read_text())["training"]
    assert (training["text"], training["gap"]) == ("stream", 8)
    ok(with_few("generate", "--novel", "-n", "1", "--max-tokens", "40"))
    assert with_few("train", "--resume", "output", "--steps", "3").returncode == 0


@pytest.mark.slow
def test_a_preset_run_resumes_only_with_the_same_data(with_few, tmp_path) -> None:
    options = ("train", "--preset", "chat", "--steps", "6", "--n-embd", "6", "--n-layer", "1")
    with_few(*options, "--output", "part")
    state = tmp_path / "part" / "train_state.json"
    assert json.loads(state.read_text())["input"] is None
    done = ok(with_few("train", "--resume", "part", "--steps", "9"))
    assert "resuming after step 6 of 9" in done.stderr
    other = tmp_path / "other.jsonl"
    other.write_text('[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]')
    assert "is not the input of the run" in refused(
        with_few("train", "--resume", "part", "--steps", "12", "--input", other)
    )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--preset", "names"), "is not one of 'names-10s', 'names-60s'"),
        (("--preset", "text"), "requires your own data; pass it with --data"),
        (("--preset", "chat", "--genome", "genome.json"), "omit one of them"),
    ],
)
def test_options_that_contradict_a_preset_are_refused(microgpt, options, problem) -> None:
    assert problem in refused(microgpt("train", *options))
