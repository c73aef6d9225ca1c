"""What tests share: small models, the golden run, and the real command."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import settings

from microgpt import Message, ModelConfig, TrainConfig, TrainResult, save
from microgpt.config import DType
from microgpt.engines import Use, prepare_engine
from microgpt.train import train

settings.register_profile("microgpt", deadline=None, derandomize=True)
settings.load_profile("microgpt")

ROOT = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).parent / "microgpt"

# The commands run in the environment of a user, whatever that of the tests is.
os.environ["PATH"] = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
for name in ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "COLUMNS", "NO_COLOR", "TERM"):
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm"

# A shell lets what it runs in the background ignore Ctrl-C, which the commands would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def compiled_engine() -> None:
    """Compile before the first test, so that no test has to wait for it or is told of it."""
    prepare_engine("compiled", *get_args(DType), uses=get_args(Use))


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """Karpathy's run as his own script gave it (its origin: data/README.md)."""
    return json.loads((ROOT / "tests/golden/microgpt_names_seed42.json").read_text())


@pytest.fixture(scope="session")
def text_result() -> TrainResult:
    """A small model of a few names."""
    return train(["anna", "emma", "ava", "mia"], config=TrainConfig(steps=30))


@pytest.fixture(scope="session")
def chat_result() -> TrainResult:
    """A small model that always answers "hi" with "yo"."""
    conversation = (Message("user", "hi"), Message("assistant", "yo"))
    return train(
        [conversation], model=ModelConfig(block_size=32), config=TrainConfig(steps=80, lr=0.02)
    )


@pytest.fixture
def text_model(text_result: TrainResult, tmp_path: Path) -> Path:
    """The directory of a text model."""
    save(text_result, tmp_path / "text-model")
    return tmp_path / "text-model"


@pytest.fixture
def chat_model(chat_result: TrainResult, tmp_path: Path) -> Path:
    """The directory of a chat model."""
    save(chat_result, tmp_path / "chat-model")
    return tmp_path / "chat-model"


@pytest.fixture
def microgpt(tmp_path: Path) -> Run:
    """The real command, run to its end in an empty directory."""

    def run(*args: str | Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *map(str, args)],
            cwd=tmp_path,
            env={**os.environ, **env},
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run
