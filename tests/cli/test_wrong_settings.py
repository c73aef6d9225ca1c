"""Tests that an invalid setting gives the same error from options, files and Python."""

import json
import re
from pathlib import Path

import pytest
from commands import refused
from json_files import edit

from microgpt import MicrogptError, ModelConfig, Settings
from microgpt.settings import PRESETS, flag

SHAPE = ModelConfig.__dataclass_fields__.keys()
GENES = {"n_emb": 8, "n_ctx": 8, "n_layer": 1, "n_head": 2, "n_ff_exp": 4, "steps": 60, "lr": 0.01}
WRONG = {  # (setting, invalid value): the error message after the name of the setting
    ("steps", "many"): "must be an integer, got 'many'",
    ("n_layer", 0): "must be >= 1, got 0",
    ("n_embd", 10**400): f"must be at most 2147483647, got 1{'0' * 23}…",
    ("lr", "fast"): "must be a number greater than 0, got 'fast'",
    ("dropout", 1.5): "must be in [0, 1), got 1.5",
    ("architecture", "gpt2"): "must be 'karpathy' or 'modern' or 'portable', got 'gpt2'",
    ("n_embd", 9): "(9) must be divisible by n_head (2); change n_head, or try n_embd 8",
}
# Only these are tested in a genome: evolve-rust has fewer settings, and their limits differ.
IN_A_GENOME = {("steps", "many"), ("lr", "fast"), ("n_embd", 9)}
CASES = [
    (source, name, value)
    for source in ("options", "preset", "genome", "meta", "train_state", "python")
    for name, value in WRONG
    if source != "genome" or (name, value) in IN_A_GENOME
]

CONFLICTS = [  # conflicting or incomplete settings, and the error
    ({"minutes": 1, "budget": 1e9}, "--minutes cannot be used with --budget; omit one of them"),
    (
        {"column": "name", "separator": "blank"},
        "--separator cannot be used with --column name; omit one of them",
    ),
    ({"me": "Anna"}, "--me requires --chat; add --chat or omit --me"),
    (
        {"vocab_size": 300},
        "--vocab-size requires --tokenizer bpe; add --tokenizer bpe or omit --vocab-size",
    ),
]


@pytest.fixture(scope="module")
def trained(prepare) -> Path:
    """A folder with a file of names, a genome file, and the directory of a training run."""
    options = ("--n-embd=8", "--n-head=2", "--block-size=8", "--steps=2", "--model=model")
    folder = prepare("anna\nemma\nava\nmia\n", options)
    (folder / "genome.json").write_text(json.dumps({**GENES, "loss": 1.5, "generation": 3}))
    return folder


@pytest.fixture
def sentence_of(microgpt, folder):
    """A function that checks that a command writes nothing, and returns its error without paths."""

    def run(command: list[str]) -> str:
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
        error = refused(microgpt(*command))
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")} == before
        return re.sub(r"^[\w/]+\.json: ", "", error)

    return run


@pytest.mark.parametrize(("source", "name", "value"), CASES)
def test_a_wrong_setting_gives_the_same_error_in_commands_files_and_python(
    folder, monkeypatch, sentence_of, source, name, value
) -> None:
    command, sentence = ["train", "--data=names.txt"], f"{name} {WRONG[name, value]}"
    if source == "options":
        command += ["--n-head=2", f"{flag(name)}={value}"]
        sentence = sentence.replace(f"{name} must", f"{flag(name)} must")
    elif source == "preset":
        monkeypatch.setitem(PRESETS, "mine", {"n_head": 2, name: value})
        command += ["--preset=mine"]
    elif source == "python":
        with pytest.raises(MicrogptError, match=f"^{re.escape(sentence)}$"):
            Settings.from_dict({"n_head": 2, name: value})
        return
    elif source == "genome":
        pytest.importorskip("microgpt_evolution")
        edit(folder / "genome.json", **{name.replace("n_embd", "n_emb"): value})
        command += ["--genome=genome.json"]
    elif source == "meta":
        changes = {name: value} if name in SHAPE else {"training": {name: value}}
        edit(folder / "model/meta.json", **changes)
        command = ["generate", "--model=model"]
    else:
        part = "model" if name in SHAPE else "config"
        edit(folder / "model/train_state.json", **{part: {name: value}})
        command = ["train", "--resume=model", "--steps=9"]
    assert sentence_of(command) == sentence


@pytest.mark.parametrize("source", ["options", "preset", "train_state", "python"])
@pytest.mark.parametrize(("given", "sentence"), CONFLICTS)
def test_conflicting_settings_give_the_same_error_in_options_files_and_python(
    folder, monkeypatch, sentence_of, source, given, sentence
) -> None:
    command = ["train", "--data=names.txt"]
    if source == "options":
        command += [flag(name) if x is True else f"{flag(name)}={x}" for name, x in given.items()]
    elif source == "preset":
        monkeypatch.setitem(PRESETS, "mine", given)
        command += ["--preset=mine"]
    elif source == "python":
        with pytest.raises(MicrogptError, match=f"^{re.escape(sentence)}$"):
            Settings.from_dict(given)
        return
    elif "budget" in given:
        pytest.skip("a run with a time limit records its budget")
    else:
        edit(folder / "model/train_state.json", given=given)
        command = ["train", "--resume=model", "--steps=9"]
    assert sentence_of(command) == sentence
