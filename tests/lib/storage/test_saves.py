"""Tests of saves that are killed between any two file operations, and of concurrent saves."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from killed_saves import killed_saves
from trainings import subword_model

from microgpt import TrainResult, load, save
from microgpt.errors import CheckpointError
from microgpt.files import DirectoryLock
from microgpt.storage.checkpoint import TrainingDirectory, read_training
from microgpt.storage.model_directory import is_model_directory, read_document_hashes

OLD, NEW = subword_model("abab"), subword_model("xyxy")
RESULTS = {result.tokenizer.names: result for result in (OLD, NEW)}


def found(directory: Path) -> tuple[str, ...] | None:
    """Return the tokens of the model in a directory, if any, after checking its document hashes."""
    if not is_model_directory(directory):
        return None
    saved = load(directory)
    known = read_document_hashes(directory, saved)
    assert known is None or all(doc in known for doc in RESULTS[saved.tokenizer.names].documents)
    return saved.tokenizer.names


def litter(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name.startswith(".")]


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch) -> None:
    """Skip syncs, which are slow and matter only if the computer crashes."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_killed_save_is_all_or_nothing_and_can_be_repeated(tmp_path, is_new) -> None:
    (tmp_path / "before").mkdir()
    if not is_new:
        save(OLD, tmp_path / "before/model")
    seen = set()
    for folder in killed_saves(tmp_path / "before", lambda at: save(NEW, at / "model")):
        seen.add(found(folder / "model"))
        save(NEW, folder / "model", weights_format="safetensors")
        assert found(folder / "model") == NEW.tokenizer.names
        assert litter(folder) == []
    assert seen == {None if is_new else OLD.tokenizer.names, NEW.tokenizer.names}


@pytest.mark.slow
def test_killed_training_leaves_a_whole_state_and_is_repeatable(tmp_path) -> None:
    def train_in(folder: Path, result: TrainResult = NEW) -> None:
        plan = replace(result.plan, input=Path("names.txt"))
        with TrainingDirectory(folder / "model") as held:
            held.keep(plan, result.state)
            held.finish(replace(result, plan=plan))

    train_in(tmp_path / "before", OLD)
    seen = set()
    for folder in killed_saves(tmp_path / "before", train_in):
        plan, state, _ = read_training(folder / "model")
        assert state.weights.tolist() == RESULTS[plan.tokenizer.names].state.weights.tolist()
        seen.add((plan.tokenizer.names, found(folder / "model")))
        train_in(folder)
        assert found(folder / "model") == NEW.tokenizer.names
        assert litter(folder) == []
    old, new = OLD.tokenizer.names, NEW.tokenizer.names
    assert seen == {(old, old), (new, old), (new, new)}


def start(n: int, work: Callable[[], object]) -> list[BaseProcess]:
    processes = [get_context("fork").Process(target=work) for _ in range(n)]
    for process in processes:
        process.start()
    return processes


def test_a_save_waits_briefly_for_another_but_not_for_training(tmp_path, monkeypatch) -> None:
    directory = tmp_path / "model"
    holder = rf"is being trained by process {os.getpid()} on"
    (tmp_path / "link").symlink_to("model")
    with TrainingDirectory(directory), pytest.raises(CheckpointError, match=holder):
        save(OLD, tmp_path / "link")
    lock = DirectoryLock(directory)
    threading.Timer(0.2, lock.release).start()
    save(OLD, directory)
    monkeypatch.setattr("microgpt.files.WAIT_S", 0.1)
    lock = DirectoryLock(directory)
    with pytest.raises(CheckpointError, match="is being written by process"):
        save(OLD, directory)
    lock.release()
    assert litter(tmp_path) == []


@pytest.mark.slow
def test_only_one_process_holds_the_lock_of_a_directory_that_is_recreated(tmp_path) -> None:
    def hold_often() -> None:
        for _ in range(200):
            with DirectoryLock(tmp_path / "model"):
                os.close(os.open(tmp_path / "held", os.O_CREAT | os.O_EXCL))
                os.unlink(tmp_path / "held")

    for process in (processes := start(3, hold_often)):
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [*tmp_path.rglob("*")] in ([], [tmp_path / "model"])


def test_a_model_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch) -> None:
    save(OLD, tmp_path)
    between_reads = "microgpt.storage.model_directory.check_fits"
    monkeypatch.setattr(between_reads, lambda _: save(NEW, tmp_path))
    assert found(tmp_path) == NEW.tokenizer.names


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [True, False])
def test_a_reader_finds_a_complete_model_during_concurrent_saves(tmp_path, is_new) -> None:
    """During the test, four processes with 25 threads each save the model in both formats."""
    directory, n_loads = tmp_path / "model", 0
    if not is_new:
        save(OLD, directory)

    def save_one(i: int) -> None:
        save((OLD, NEW)[i % 2], directory, weights_format=("json", "safetensors")[i % 3 == 0])

    def save_often() -> None:
        with ThreadPoolExecutor(25) as pool:
            list(pool.map(save_one, range(40)))

    processes = start(4, save_often)
    while any(process.is_alive() for process in processes):
        if is_model_directory(directory):
            model, n_loads = load(directory), n_loads + 1
            expected = RESULTS[model.tokenizer.names].weights
            assert [[*map(tuple, rows)] for rows in model.weights.values()] == [
                [*map(tuple, expected[name])] for name in model.weights
            ]
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert n_loads > 10
    assert len(os.listdir(directory)) == 4  # only one weights file remains
    assert litter(tmp_path) == []
