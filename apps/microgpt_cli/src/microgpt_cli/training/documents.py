"""Read and split the documents of a training run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from microgpt.config import Holdout, TextKind
from microgpt.data.documents import (
    load_conversations,
    load_lines,
    load_lines_or_stream,
    load_stream,
    load_text,
)
from microgpt.data.sizes import count_characters
from microgpt.data.split import Split, split, split_stream
from microgpt.data.tokenizer import Document, TokenizerKind
from microgpt.errors import ConfigError, DataError
from microgpt.training.choice import MAX_CONTEXT, held_out_fraction
from microgpt.training.presets import PRESETS
from microgpt_cli.terminal.console import note
from microgpt_cli.training.limits import has_budget

CHARACTERS_PER_SUBWORD = 4  # upper estimate for English; sets the gap between splits


def load_documents(
    path: Path, text: TextKind | None, column: str | None, *, chat: bool, check: bool = True
) -> Sequence[Document] | str:
    """Return the documents of a file, or a string if the file is running text.

    Args:
        text: how to read the file; by default, running text is detected.
        column: column of a table, or field of JSON objects, that contains the documents.
        check: whether to refuse tables and JSON files that would be read as plain lines.
    """
    if chat:
        return load_conversations(path, tell=note)
    if column is not None:
        return load_text(path, column=column, tell=note)
    if text == "stream":
        return load_stream(path)
    if text == "lines":
        return load_text(path) if check else load_lines(path)
    docs = load_lines_or_stream(path)
    if isinstance(docs, str):
        note(f"reading {path} as running text (--text lines: each line is a document)")
    return docs


def default_split(
    docs: Sequence[Document] | str, settings: Mapping[str, Any], overrides: Mapping[str, Any]
) -> Split:
    """Split documents before the settings are chosen.

    With --minutes or --budget, some documents are held out by default if there are enough.
    """
    size = overrides.get("block_size")
    # Without a size, the context is chosen after the split.
    gap = gap_of(size, overrides.get("tokenizer")) if size else MAX_CONTEXT
    default = {}
    if has_budget(settings):
        texts = [docs] if isinstance(docs, str) else docs
        fraction = held_out_fraction(sum(map(count_characters, texts)))
        fractions = {"val_fraction": fraction, "test_fraction": fraction}
        default = {name: fractions[name] for name in fractions if name not in overrides}
    try:
        return split_by_options(docs, {**settings, **default}, gap)
    except DataError as error:
        if not default:
            raise
        note(f"nothing is held out by default: {error}")
        return split_by_options(docs, settings, gap)


def split_by_options(
    docs: Sequence[Document] | str, settings: Mapping[str, Any], gap: int
) -> Split:
    """Split documents as the options say; `gap` is only for running text."""
    preset, held_out = settings["preset"], (settings["val_fraction"], settings["test_fraction"])
    if settings["holdout"] and not (isinstance(docs, str) and any(held_out)):
        raise ConfigError(
            "--holdout requires running text and --val-fraction or --test-fraction; omit --holdout"
        )
    holdout = settings["holdout"] or (PRESETS[preset].holdout if preset else "spread")
    return split_documents(docs, *held_out, holdout, gap)


def split_documents(
    docs: Sequence[Document] | str, validation: float, test: float, holdout: Holdout, gap: int
) -> Split:
    """Split documents by hash, or running text by position."""
    if isinstance(docs, str):
        return split_stream(docs, validation=validation, test=test, holdout=holdout, gap=gap)
    return split(docs, validation=validation, test=test)


def gap_of(block_size: int, kind: TokenizerKind | None) -> int:
    """Return the number of unused characters around a held-out stretch of running text."""
    return block_size * (CHARACTERS_PER_SUBWORD if kind == "bpe" else 1)
