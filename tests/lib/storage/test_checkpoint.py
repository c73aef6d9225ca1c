import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from json_files import edit
from safetensors.numpy import load_file, save_file
from training_states import StatesEvery

from microgpt import BpeTokenizer, CharTokenizer, ModelConfig, TrainConfig, load, save
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.split import Split, split, split_stream
from microgpt.errors import CheckpointError
from microgpt.storage.checkpoint import TrainingDirectory, read_training
from microgpt.training.hooks import StopWhen
from microgpt.training.train import train
from microgpt.training_state import TrainingPlan, TrainResult

DOCS = [a + b + c for a in "aei" for b in "mnr" for c in "aeo"]
CONFIG = TrainConfig(steps=40, lr=0.01, patience=30)
STATE_FILES = {"train_state.json", "train_state.safetensors"}


def plan_of(parts: Split, result: TrainResult) -> TrainingPlan:
    return replace(result.plan, data=parts.facts, input=Path("names.txt"))


@pytest.fixture(scope="module")
def parts() -> Split:
    return split(DOCS, validation=0.3)


@pytest.fixture(scope="module")
def stopped(parts) -> TrainResult:
    """The result of a training run that was stopped halfway."""
    kept = StatesEvery(20)
    hooks = [kept, StopWhen(lambda: len(kept.states) == 2)]
    return train(parts, model=ModelConfig(n_embd=8, n_head=2), config=CONFIG, hooks=hooks)


@pytest.fixture
def directory(tmp_path, parts, stopped) -> Path:
    """A directory with the checkpoint of the run `stopped`."""
    with TrainingDirectory(tmp_path / "model") as held:
        held.keep(plan_of(parts, stopped), stopped.state)
    return tmp_path / "model"


def change(directory: Path, tensors: dict[str, np.ndarray] | None = None, **facts: object) -> None:
    """Change fields and arrays of a training checkpoint, and update its hash."""
    state, description = directory / "train_state.safetensors", directory / "train_state.json"
    if tensors:
        save_file(load_file(state) | tensors, state)
        facts["state_sha256"] = hashlib.sha256(state.read_bytes()).hexdigest()
    edit(description, **facts)


@pytest.mark.parametrize("text", ["lines", "stream"])
@pytest.mark.parametrize(("engine", "dtype"), [("compiled", "float32"), ("reference", "float64")])
def test_a_training_state_is_read_and_resumed_exactly(tmp_path, parts, engine, dtype, text) -> None:
    if text == "stream":
        parts = split_stream("\n".join(DOCS), validation=0.3, gap=3)
    tokenizer = (
        BpeTokenizer.from_documents(parts.train, vocab_size=265) if text == "stream" else None
    )
    regularised = {"dropout": 0.1, "weight_decay": 0.1}
    config = TrainConfig(steps=6, lr=0.01, engine=engine, dtype=dtype, text=text, **regularised)
    model = ModelConfig(n_embd=4, n_head=1, block_size=4)
    options = {"model": model, "config": config, "tokenizer": tokenizer}
    whole = train(parts, **options)
    n = 1 if engine == "compiled" else 3
    kept = StatesEvery(n)
    train(parts, **options, hooks=[kept])
    assert [state.step for state in kept.states] == list(range(0, 6, n))
    for state in kept.states:
        with TrainingDirectory(tmp_path / "model") as held:
            held.keep(plan_of(parts, whole), state)
        plan, read, status = read_training(tmp_path / "model")
        assert status == "running"
        assert replace(plan, tokenizer=whole.tokenizer) == plan_of(parts, whole)
        assert (plan.tokenizer.chars, plan.tokenizer.file) == (
            whole.tokenizer.chars, whole.tokenizer.file,
        )  # fmt: skip
        assert read.history == tuple(state.history)
        assert read.weights.tolist() == state.weights.tolist()
        resumed = train(parts, **options | {"tokenizer": plan.tokenizer}, resume=read)
        assert resumed.weights == whole.weights
        assert resumed.val_loss == whole.val_loss
        assert resumed.state.history == whole.state.history
        assert resumed.state.recent_losses == whole.state.recent_losses


def test_an_unfinished_state_can_be_loaded_and_saved_as_a_model(directory, stopped) -> None:
    saved = load(directory)
    assert saved.weights == stopped.weights
    assert saved.progress == f"at step {stopped.state.step} of 40"
    assert saved.meta.training["val_loss"] == stopped.val_loss
    assert load(directory).sha256 == saved.sha256
    save(saved, directory)
    assert load(directory).weights == stopped.weights
    assert load(directory).progress is None


@pytest.mark.parametrize("has_ended", [True, False])
def test_saving_another_model_removes_a_training_run(directory, parts, stopped, has_ended) -> None:
    """The old checkpoint would make `plot` and `--resume` attribute its run to the new model."""
    with TrainingDirectory(directory) as held:
        options = {"model": stopped.model, "config": CONFIG, "tokenizer": stopped.tokenizer}
        ended = train(parts, **options, resume=stopped.state)
        held.finish(replace(ended, plan=plan_of(parts, stopped)))
        if not has_ended:
            held.keep(plan_of(parts, stopped), stopped.state)
    save(load(directory), directory, weights_format="safetensors")  # this keeps the training run
    assert {*os.listdir(directory)} >= STATE_FILES
    other = train(["abba", "bab"], model=ModelConfig(block_size=4), config=TrainConfig(steps=2))
    save(other, directory)
    assert STATE_FILES.isdisjoint(os.listdir(directory))


def test_load_returns_the_model_that_replaced_a_run(directory, text_result) -> None:
    save(text_result, directory)
    assert load(directory).weights == text_result.weights


def test_a_training_directory_is_unchanged_if_no_state_was_saved(tmp_path) -> None:
    with TrainingDirectory(tmp_path / "model"):
        pass
    assert os.listdir(tmp_path) == []
    (tmp_path / "model").mkdir()
    with TrainingDirectory(tmp_path / "model"):
        pass
    assert os.listdir(tmp_path / "model") == []


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format_version": 0, "status": None}, "format_version is 0, .* reads only 7; use the"),
        ({"teachers": [["a"]]}, r"teachers\[0\]\[1\]: field required"),
        ({"state_sha256": "0"}, "its sha256 differs"),
        ({"status": "happy"}, r"train_state\.json: status: input should be 'running'"),
        ({"chars": None}, r"train_state\.json: chars: field required"),
        ({"given": {"preset": 5}}, "preset must be a text, got 5"),
        ({"given": {"colour": "red"}}, "unknown setting 'colour'; use one of n_embd, "),
        ({"config": {"steps": 0}}, "steps must be >= 1, got 0"),
        ({"recent_losses": [float("nan")]}, r"recent_losses\[0\]: input should be a finite number"),
        ({"history": [[1, 2.0, float("inf")]]}, r"history\[0\]"),
        ({"history": [{"step": 1.5, "loss": 2.0}]}, r"history\[0\]\.step: .* valid integer"),
        ({"history": [{"step": 1, "loss": float("nan")}]}, r"history\[0\]\.loss: .* finite"),
        ({"dtype": "float64"}, r"safetensors .*: weights is not an array of \d+ float64 numb"),
    ],
)
def test_an_invalid_state_description_is_refused(directory, changes, problem) -> None:
    change(directory, **changes)
    with pytest.raises(CheckpointError, match=problem):
        read_training(directory)


@pytest.mark.parametrize("name", sorted(STATE_FILES))
def test_a_pipe_in_place_of_a_state_file_is_refused(directory, name) -> None:
    (directory / name).unlink()
    os.mkfifo(directory / name)
    with pytest.raises(CheckpointError, match=f"{name}: not a regular file"):
        read_training(directory)


@pytest.mark.compiled
@pytest.mark.parametrize(("end", "dtype"), [(-9, b"F32"), (None, rb"F\n")])
def test_a_damaged_state_is_refused_even_with_a_valid_hash(directory, end, dtype) -> None:
    content = (directory / "train_state.safetensors").read_bytes()[:end].replace(b"F32", dtype)
    (directory / "train_state.safetensors").write_bytes(content)
    change(directory, state_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(CheckpointError, match="is not a valid checkpoint") as refusal:
        read_training(directory)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("changes", [{"weights": np.zeros(20)}, {"adam_m": np.zeros((3, 3))}])
def test_arrays_of_a_wrong_shape_in_a_state_are_refused(directory, changes) -> None:
    change(directory, changes)
    with pytest.raises(CheckpointError, match="is not a valid checkpoint"):
        read_training(directory)


def test_a_failed_save_reports_the_required_space_and_keeps_the_old_state(
    directory, parts, stopped, monkeypatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = {file: (directory / file).read_bytes() for file in os.listdir(directory)}
    with TrainingDirectory(directory) as held, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"No space left on device; needs [\d,]+ byte"):
            held.keep(plan_of(parts, stopped), stopped.state)
    assert {file: (directory / file).read_bytes() for file in os.listdir(directory)} == before


@pytest.mark.parametrize("kind", [CharTokenizer, FoldingTokenizer])
def test_the_tokenizer_of_a_chat_training_run_is_restored(tmp_path, chat_result, kind) -> None:
    parts = Split(["x"], ["x"])
    plan = replace(plan_of(parts, chat_result), tokenizer=kind("hioy", is_chat=True))
    with TrainingDirectory(tmp_path / "model") as held:
        held.keep(plan, chat_result.state)
    found = read_training(tmp_path / "model")[0].tokenizer
    assert (type(found), found.chars, found.is_chat) == (kind, tuple("hioy"), True)
