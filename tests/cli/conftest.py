"""Fixtures for tests of commands: a training file, and a copy of a test module's trained models."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import commands
import pytest
from trainings import NAMES

Prepare = Callable[..., Path]


@pytest.fixture(scope="session")
def prepare(tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    """A function that makes a directory with names.txt, and trains a model per tuple of options."""

    def make(names: str, *options: Sequence[str]) -> Path:
        folder = tmp_path_factory.mktemp("prepared")
        (folder / "names.txt").write_text(names)
        for each in options:
            commands.run("train", "--data", "names.txt", *each, cwd=folder, check=True)
        return folder

    return make


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A training file that is large enough to be split into training, validation and test sets."""
    (tmp_path / "names.txt").write_text(NAMES)
    return tmp_path / "names.txt"


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of the directory that the fixture `trained` returns; a test can change the copy."""
    return Path(shutil.copytree(trained, tmp_path, dirs_exist_ok=True))
