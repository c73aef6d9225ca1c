"""Kill a process before each of its file-system calls. Used by test_crash_points.py.

    python crash_points.py SCENARIO DIRECTORY

Each crash point has a forked process of its own, which ends there without any cleaning up. After
each, what is on disk is moved, and must load as what was there before or as what is new, the same
thing done again must succeed, and nothing else may remain. Prints how many crash points there were.
"""

import builtins
import io
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from microgpt import BpeTokenizer, ModelConfig, TrainConfig, TrainResult, load, save
from microgpt.config import TextKind
from microgpt.errors import CheckpointError
from microgpt.storage.document_hashes import read_document_hashes
from microgpt.storage.model_directory import export
from microgpt.storage.training_directory import TrainingDirectory, read_training
from microgpt.training.history_file import read_history
from microgpt.training.train import train

CALLS = (
    "rename", "replace", "unlink", "remove", "mkdir", "rmdir", "fsync", "link", "symlink",
    "truncate", "ftruncate", "open",
)  # fmt: skip
KILLED = 99


def crash_before(n: int) -> None:
    """Have this process end before its n-th call that changes the file system."""
    calls = count()

    def step() -> None:
        if next(calls) == n:
            os._exit(KILLED)

    def wrap(owner: Any, name: str, changes: Callable[..., bool]) -> None:
        real = getattr(owner, name)

        def wrapper(*args: Any, **options: Any) -> Any:
            if changes(*args, **options):
                step()
            return real(*args, **options)

        setattr(owner, name, wrapper)

    def opens_for_writing(path: object, mode: object = "r", *args: Any, **options: Any) -> bool:
        if isinstance(mode, int):
            return bool(mode & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        return any(letter in str(mode) for letter in "wax+")

    for name in CALLS:
        wrap(os, name, opens_for_writing if name == "open" else lambda *_, **__: True)
    wrap(io, "open", opens_for_writing)
    builtins.open = io.open


def no_fsync(fd: int) -> None:
    """Save the seconds that a disk takes; what a killed process has written is there without."""


def survives(action: Callable[[], object], n: int) -> bool:
    """Do something in another process, which is killed before its n-th call; False if it was."""
    child = os.fork()
    if not child:
        crash_before(n)
        action()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED), f"crash point {n}: it ended with {code}"
    return code == 0


def model(text: str, *, is_bpe: bool = False, kind: TextKind = "lines") -> TrainResult:
    tokenizer = BpeTokenizer.from_documents([text] * 3, vocab_size=258) if is_bpe else None
    return train(
        [text],
        model=ModelConfig(n_embd=1, n_head=1, block_size=2),
        config=TrainConfig(steps=2, text=kind),
        tokenizer=tokenizer,
        engine="reference",
    )


OLD, NEW = model("abc"), model("de")
OLD_BPE, NEW_BPE = model("abab", is_bpe=True), model("xyxy", is_bpe=True)
NEW_STREAM = model("fg" * 30, kind="stream")
TEXTS = {
    result.tokenizer.names: [str(doc) for doc in result.documents]
    for result in (OLD, NEW, OLD_BPE, NEW_BPE, NEW_STREAM)
}


def train_in(result: TrainResult, directory: Path, n_states: int = 1) -> None:
    """Train, as far as files are concerned."""
    plan = replace(result.plan, input=Path("names.txt"))
    with TrainingDirectory(directory) as held:
        for _ in range(n_states):
            held.keep(plan, result.state)
        held.finish(replace(result, plan=plan))


def export_to(directory: Path) -> None:
    export(load(directory.with_name("source")), directory, half=True)


def found(directory: Path) -> object:
    """Return which model is in a directory; the weights belong to it, as their hash is checked.

    The hashes of training documents are its own too, or are not read.
    """
    try:
        saved = load(directory)
        known = read_document_hashes(directory, saved.meta)
        names = saved.tokenizer.names
        assert known is None or all(text in known for text in TEXTS[names]), names
        return names
    except CheckpointError as error:
        if "does not exist" in str(error):
            return None
        raise


def found_training(directory: Path) -> object:
    """Return which training is in a directory; its history is that of its state."""
    if not (directory / "train_state.json").exists():
        return None
    plan, state, _ = read_training(directory)
    assert tuple(state.history) == read_history(directory)
    return plan.tokenizer.names


def litter(directory: Path) -> list[str]:
    names = [*os.listdir(directory), *os.listdir(directory.parent)]
    return [name for name in names if name.startswith(".")]


def no_model(directory: Path) -> None:
    """Leave nothing but a model beside it."""
    save(NEW, directory.with_name("source"))


def old_model(directory: Path, old: TrainResult = OLD) -> None:
    """Leave a model, and another one beside it."""
    no_model(directory)
    save(old, directory)


def killed(n: int, directory: Path) -> None:
    """Leave what a save leaves that was killed."""
    save(OLD_BPE, directory)
    survives(partial(save, NEW_BPE, directory), n)


# What there is before; what is done; of which model.
SCENARIOS: dict[str, tuple[Callable[[Path], object], Callable[..., object], TrainResult]] = {
    "save into a new directory": (no_model, partial(save, NEW), NEW),
    "save over a model": (old_model, partial(save, NEW), NEW),
    "save another format": (old_model, partial(save, NEW, weights_format="safetensors"), NEW),
    "save subwords over characters": (old_model, partial(save, NEW_BPE), NEW_BPE),
    "save characters over subwords": (partial(old_model, old=OLD_BPE), partial(save, NEW), NEW),
    "save subwords over others": (partial(old_model, old=OLD_BPE), partial(save, NEW_BPE), NEW_BPE),
    "save subwords in another format": (
        partial(old_model, old=OLD_BPE),
        partial(save, NEW_BPE, weights_format="safetensors"),
        NEW_BPE,
    ),
    "save over a training": (partial(train_in, OLD), partial(save, NEW), NEW),
    "save running text over a model": (old_model, partial(save, NEW_STREAM), NEW_STREAM),
    "export to a new directory": (no_model, export_to, NEW),
    "export over a model": (old_model, export_to, NEW),
    "train in a new directory": (no_model, partial(train_in, NEW, n_states=2), NEW),
    "train over a model": (old_model, partial(train_in, NEW), NEW),
    "train over a training": (partial(train_in, OLD), partial(train_in, NEW), NEW),
    "train subwords over others": (partial(train_in, OLD_BPE), partial(train_in, NEW_BPE), NEW_BPE),
    **{
        f"save after a save killed before call {n}": (partial(killed, n), partial(save, NEW), NEW)
        for n in range(0, 30, 5)
    },
}


def main(scenario: str, folder: Path) -> int:
    """Return how many crash points there were."""
    os.fsync = no_fsync
    prepare, action, new = SCENARIOS[scenario]
    replaces = isinstance(action, partial) and action.func is save  # also an ended training
    trained = None if replaces else new.tokenizer.names
    (folder / "prepared").mkdir(parents=True)
    prepare(folder / "prepared" / "model")
    for n in count():
        directory = folder / str(n) / "model"
        shutil.copytree(folder / "prepared", directory.parent, symlinks=True)
        before, training = found(directory), found_training(directory)
        has_ended = survives(partial(action, directory), n)
        directory = directory.parent.rename(folder / "moved") / "model"
        where = f"{scenario}, killed before call {n}"
        assert found(directory) in (before, new.tokenizer.names), where
        assert found_training(directory) in (training, trained), where
        action(directory)
        assert found(directory) == new.tokenizer.names, where
        assert litter(directory) == [], (where, litter(directory))
        shutil.rmtree(directory.parent)
        if has_ended:
            return n
    raise AssertionError


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1], Path(sys.argv[2]))} crash points\n")
