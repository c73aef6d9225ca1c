"""A save that is killed between any two file operations leaves the old files or the new ones."""

import os
import random
import signal
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from killed_saves import killed_saves
from training_states import StatesEvery

from microgpt import BpeTokenizer, ModelConfig, TrainConfig, TrainResult, load, save
from microgpt.storage.model_directory import is_model_directory, read_document_hashes
from microgpt.storage.training_directory import TrainingDirectory, has_state, read_training
from microgpt.training.train import train


def model(text: str) -> TrainResult:
    tokenizer = BpeTokenizer.from_documents([text] * 3, vocab_size=258)
    shape = ModelConfig(n_embd=1, n_head=1, block_size=2)
    config = TrainConfig(steps=2, engine="reference")
    return train([text], model=shape, config=config, tokenizer=tokenizer)


OLD, NEW = model("abab"), model("xyxy")
TEXTS = {OLD.tokenizer.names: "abab", NEW.tokenizer.names: "xyxy"}


def found(directory: Path) -> tuple[str, ...] | None:
    """Return the tokens of the model in a directory, whose hashes of documents belong to it."""
    if not is_model_directory(directory):
        return None
    saved = load(directory)
    known = read_document_hashes(directory, saved)
    assert known is None or TEXTS[saved.tokenizer.names] in known
    return saved.tokenizer.names


def litter(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name.startswith(".")]


@pytest.mark.parametrize("is_new", [True, False])
def test_a_killed_save_of_a_model_leaves_the_old_or_the_new_one(tmp_path, is_new) -> None:
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
def test_a_killed_training_run_leaves_a_whole_checkpoint(tmp_path) -> None:
    def train_in(folder: Path, result: TrainResult = NEW) -> None:
        plan = replace(result.plan, input=Path("names.txt"))
        with TrainingDirectory(folder / "model") as held:
            held.keep(plan, result.state)
            held.finish(replace(result, plan=plan))

    train_in(tmp_path / "before", OLD)
    seen = set()
    for folder in killed_saves(tmp_path / "before", train_in):
        plan = read_training(folder / "model")[0]
        seen.add((plan.tokenizer.names, found(folder / "model")))
        train_in(folder)
        assert found(folder / "model") == NEW.tokenizer.names
        assert litter(folder) == []
    old, new = OLD.tokenizer.names, NEW.tokenizer.names
    assert seen == {(old, old), (new, old), (new, new)}


@pytest.mark.slow
def test_a_run_killed_a_hundred_times_has_the_same_weights(tmp_path) -> None:
    shape = ModelConfig(n_embd=2, n_head=1, block_size=2)
    options = {"model": shape, "config": TrainConfig(steps=12, engine="reference")}
    whole = train(["ab", "ba"], **options)
    plan = replace(whole.plan, input=Path("names.txt"))

    def train_in(directory: Path) -> None:
        with TrainingDirectory(directory) as held:
            resume = read_training(directory)[1] if has_state(held.path) else None
            keep = StatesEvery(1, lambda state: held.keep(plan, state))
            result = train(["ab", "ba"], **options, hooks=[keep], resume=resume)
            held.finish(replace(result, plan=plan))

    rng, n_kills = random.Random(1), 0
    for n in count():
        directory, before = tmp_path / str(n), n % 2 and OLD.weights
        if before:
            save(OLD, directory)
        has_ended = False
        while not has_ended:
            child = os.fork()
            if not child:
                try:
                    os.fsync = lambda file: None  # matters only if the computer stops
                    train_in(directory)
                    os._exit(0)
                finally:
                    os._exit(1)
            time.sleep(rng.uniform(0, 0.04))
            os.kill(child, signal.SIGKILL)
            outcome = os.waitpid(child, 0)[1]
            assert outcome in (0, signal.SIGKILL)
            n_kills += outcome != 0
            if before or is_model_directory(directory):
                saved = load(directory)
                has_ended = saved.weights == whole.weights and not saved.progress
                assert has_ended or saved.weights == before or (saved.progress and not before)
        train_in(directory)
        assert load(directory).weights == whole.weights
        assert litter(directory) == []
        if n_kills >= 100:
            return
