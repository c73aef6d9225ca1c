"""Pipes, devices and sparse files in place of the files of a model or a training run.

`tests/lib/test_files.py` has all kinds; here each reader meets one.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from microgpt import BpeTokenizer, ModelConfig, TrainConfig, load, save
from microgpt.errors import CheckpointError
from microgpt.files import DirectoryLock
from microgpt.storage.training_directory import TrainingDirectory, read_training
from microgpt.training.train import train

RESULT = train(
    ["abab"],
    model=ModelConfig(n_embd=1, n_head=1, block_size=2),
    tokenizer=BpeTokenizer.from_documents(["abab"] * 3, vocab_size=258),
    config=TrainConfig(steps=1, engine="reference"),
)
PLAN = replace(RESULT.plan, input=Path("names.txt"))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 * 2**30)


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """End a test that a pipe blocks, and one that reads an endless file, before the memory is."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "name", ["weights.json", "model.safetensors", "meta.json", "tokenizer.json"]
)
def test_a_model_with_an_irregular_file_is_refused(tmp_path, name: str) -> None:
    weights_format = "safetensors" if name == "model.safetensors" else "json"
    save(RESULT, tmp_path / "model", weights_format=weights_format)
    (tmp_path / "model" / name).unlink()
    os.mkfifo(tmp_path / "model" / name)
    with pytest.raises(CheckpointError, match=f"{name}: not a regular file"):
        load(tmp_path / "model")


@pytest.mark.parametrize("name", ["train_state.json", "train_state.safetensors"])
def test_a_training_run_with_an_irregular_file_is_refused(tmp_path, name: str) -> None:
    with TrainingDirectory(tmp_path / "model") as held:
        held.keep(PLAN, RESULT.state)
    (tmp_path / "model" / name).unlink()
    os.mkfifo(tmp_path / "model" / name)
    with pytest.raises(CheckpointError, match=f"{name}: not a regular file"):
        read_training(tmp_path / "model")


@pytest.mark.parametrize("make", [os.mkfifo, device, sparse])
def test_an_irregular_lock_file_is_replaced_or_refused(tmp_path, make, monkeypatch) -> None:
    monkeypatch.setattr("microgpt.files.WAIT_S", 0)
    make(tmp_path / ".lock")
    try:
        with DirectoryLock(tmp_path), pytest.raises(CheckpointError, match="being written by"):
            DirectoryLock(tmp_path)
        assert os.listdir(tmp_path) == []
    except CheckpointError as error:
        assert make is device  # links are not followed
        assert str(error).startswith(f"cannot write to {tmp_path}")  # noqa: PT017
