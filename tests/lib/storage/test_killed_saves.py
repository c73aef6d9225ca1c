"""A save that is killed between any two file operations leaves the old files or the new ones."""

from dataclasses import replace
from pathlib import Path

import pytest
from killed_saves import killed_saves

from microgpt import BpeTokenizer, ModelConfig, TrainConfig, TrainResult, load, save
from microgpt.storage.document_hashes import read_document_hashes
from microgpt.storage.training_directory import TrainingDirectory, read_training
from microgpt.training.history_file import read_history
from microgpt.training.train import train


def model(text: str) -> TrainResult:
    tokenizer = BpeTokenizer.from_documents([text] * 3, vocab_size=258)
    shape, config = ModelConfig(n_embd=1, n_head=1, block_size=2), TrainConfig(steps=2)
    return train([text], model=shape, config=config, tokenizer=tokenizer, engine="reference")


OLD, NEW = model("abab"), model("xyxy")
TEXTS = {OLD.tokenizer.names: "abab", NEW.tokenizer.names: "xyxy"}


def found(directory: Path) -> tuple[str, ...] | None:
    """Return the tokens of the model in a directory, whose hashes of documents belong to it."""
    if not directory.exists():
        return None
    saved = load(directory)
    known = read_document_hashes(directory, saved.meta)
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
        plan, state, _ = read_training(folder / "model")
        assert state.history == read_history(folder / "model")
        seen.add((plan.tokenizer.names, found(folder / "model")))
        train_in(folder)
        assert found(folder / "model") == NEW.tokenizer.names
        assert litter(folder) == []
    old, new = OLD.tokenizer.names, NEW.tokenizer.names
    assert seen == {(old, old), (new, old), (new, new)}
