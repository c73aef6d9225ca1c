"""What tests of commands share: a training file, and a copy of what a module has trained."""

import shutil
from pathlib import Path

import pytest
from trainings import NAMES


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A training file that is large enough to be split."""
    (tmp_path / "names.txt").write_text(NAMES)
    return tmp_path / "names.txt"


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of the directory `trained` of a module, which a test may change."""
    return Path(shutil.copytree(trained, tmp_path, dirs_exist_ok=True))
