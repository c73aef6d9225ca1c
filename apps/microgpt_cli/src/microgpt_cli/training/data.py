"""The documents of a training: where they are, and which of them are held out."""

import os
from collections.abc import Sequence
from pathlib import Path

from microgpt.config import TrainConfig
from microgpt.data.dataset import (
    Split,
    bundled,
    load_conversations,
    load_stream,
    load_text,
    split,
    split_stream,
)
from microgpt.data.tokenizer import Document
from microgpt.errors import ConfigError
from microgpt.memory_limit import free_bytes
from microgpt.training.presets import PRESETS, PresetName
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT, DEFAULT_TEXT


def default_input(*, chat: bool = False) -> Path:
    """Return where the data are when nothing is named: here, or else with microgpt."""
    name = DEFAULT_CHAT if chat else DEFAULT_TEXT
    path = Path("data", name)
    if not os.path.exists(path):
        note(f"there is no {path} here; using the {name} that comes with microgpt")
        path = bundled(name)
    return path


def input_of(preset: PresetName | None, *, chat: bool) -> Path | None:
    """Return where the data are when nothing is named; None for those that a preset draws."""
    data = PRESETS[preset].data if preset else "names"
    if data is None:
        raise ConfigError(f"--preset {preset} is for data of your own; name them with --input")
    return None if data == "grammar" else default_input(chat=chat)


def check_regular(path: Path, remedy: str) -> None:
    """Raise ConfigError if a path, perhaps from a stranger's file, is endless or too large to read.

    A file that does not exist is left to the code that reads it.
    """
    problem = None
    if os.path.exists(path) and not os.path.isfile(path):
        problem = "is not a regular file"
    elif os.path.isfile(path) and os.path.getsize(path) > free_bytes():
        problem = "is larger than the free memory"
    if problem:
        raise ConfigError(f"{path} {problem}; {remedy}")


def parts_of(
    path: Path | None,
    preset: PresetName | None,
    config: TrainConfig,
    *,
    chat: bool,
    validation: float,
    test: float,
) -> Split:
    """Return the documents of a file, or without one those of a preset, by what they are for."""
    docs: Sequence[Document]
    if path is None:
        assert preset
        docs = PRESETS[preset].draw(config.seed)
    elif config.text == "stream":
        return split_stream(load_stream(path), validation=validation, test=test)
    else:
        docs = load_conversations(path, tell=note) if chat else load_text(path)
    return split(docs, validation=validation, test=test)
