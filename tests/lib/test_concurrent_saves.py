"""Several processes and threads that write one model directory, and others that read it."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from subprocess import PIPE

import pytest

from microgpt import ModelConfig, TrainConfig, load, save
from microgpt.errors import CheckpointError
from microgpt.files import DirectoryLock
from microgpt.storage.model_directory import is_model_directory
from microgpt.storage.training_directory import TrainingDirectory
from microgpt.training.train import train

MODEL = ModelConfig(n_embd=1, n_head=1, block_size=2)
CONFIG = TrainConfig(steps=1, engine="reference")
RESULTS = [train([doc], model=MODEL, config=CONFIG) for doc in ("abc", "de")]
SETTINGS = """
import sys
from microgpt import ModelConfig, TrainConfig, load, save
from microgpt.training.train import train
MODEL = ModelConfig(n_embd=1, n_head=1, block_size=2)
CONFIG = TrainConfig(steps=1, engine="reference")
RESULTS = [train([doc], model=MODEL, config=CONFIG) for doc in ("abc", "de")]
print("ready", flush=True)
sys.stdin.readline()
"""


def start(code: str, *arguments: object) -> subprocess.Popen:
    """Start Python code, which begins when `go` says so."""
    process = subprocess.Popen(
        [sys.executable, "-c", SETTINGS + code, *map(str, arguments)],
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        text=True,
    )
    process.stdout.readline()
    return process


def go(*processes: subprocess.Popen) -> list[tuple[str, str]]:
    """Let processes begin at once; return what each has printed and its errors."""
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate() for process in processes]


def litter(directory: Path) -> list[str]:
    """Return what should not be left in a directory or beside it."""
    names = [*os.listdir(directory), *os.listdir(directory.parent)]
    return [name for name in names if name.startswith(".")]


def test_a_save_waits_for_another_save_but_not_for_training(tmp_path, monkeypatch) -> None:
    directory = tmp_path / "model"
    holder = rf"is being trained by process {os.getpid()} on"
    (tmp_path / "link").symlink_to("model")
    with TrainingDirectory(directory), pytest.raises(CheckpointError, match=holder):
        save(RESULTS[0], tmp_path / "link")
    lock = DirectoryLock(directory)
    threading.Timer(0.2, lock.release).start()
    save(RESULTS[0], directory)
    monkeypatch.setattr("microgpt.files.WAIT_S", 0.1)
    lock = DirectoryLock(directory)
    with pytest.raises(CheckpointError, match="is being written by process"):
        save(RESULTS[0], directory)
    lock.release()
    assert litter(directory) == []


@pytest.mark.slow
def test_a_directory_that_comes_and_goes_has_one_holder(tmp_path) -> None:
    code = """
import os
from pathlib import Path
from microgpt.files import DirectoryLock
for _ in range(200):
    with DirectoryLock(Path(sys.argv[1])):
        os.close(os.open(sys.argv[2], os.O_CREAT | os.O_EXCL))
        os.unlink(sys.argv[2])
"""
    outcomes = go(*(start(code, tmp_path / "model", tmp_path / "held") for _ in range(3)))
    assert outcomes == [("", "")] * 3
    assert [*tmp_path.rglob("*")] in ([], [tmp_path / "model"])


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [True, False])
def test_a_reader_finds_a_complete_model_during_concurrent_saves(tmp_path, is_new) -> None:
    """Four processes save on 25 threads each, in either format."""
    directory = tmp_path / "model"
    if not is_new:
        save(RESULTS[0], directory)
    code = """
from concurrent.futures import ThreadPoolExecutor
def save_one(i):
    save(RESULTS[i % 2], sys.argv[1], weights_format=("json", "safetensors")[i % 3 == 0])
with ThreadPoolExecutor(25) as pool:
    list(pool.map(save_one, range(75)))
"""
    writers = [start(code, directory) for _ in range(4)]
    outcomes: list[list[tuple[str, str]]] = []
    writing = threading.Thread(target=lambda: outcomes.append(go(*writers)))
    writing.start()
    n_loads = 0
    while writing.is_alive():
        if is_model_directory(directory):
            model, n_loads = load(directory), n_loads + 1
            i = 0 if model.tokenizer.chars == ("a", "b", "c") else 1
            assert [[*map(tuple, rows)] for rows in model.weights.values()] == [
                [*map(tuple, RESULTS[i].weights[name])] for name in model.weights
            ]
    assert outcomes == [[("", "")] * 4]
    assert n_loads > 10
    assert len(os.listdir(directory)) == 3  # the weights are there in one format
    assert litter(directory) == []
