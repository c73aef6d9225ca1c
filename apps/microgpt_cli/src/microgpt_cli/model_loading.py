"""Find and load the model and the data of a command, and print notes on them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import (
    CheckpointError,
    ConfigError,
    DataError,
    Document,
    Meta,
    SavedModel,
    Use,
    bundled,
    count_params,
    duration,
    find_edited_sources,
    free_bytes,
    known_share,
    load,
    mark,
    percentage,
    read_document_hashes,
    recorded_share,
)
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT, DEFAULT_TEXT
from microgpt_cli.terminal.progress import load_kernels

if TYPE_CHECKING:
    from microgpt import InferenceGpt

MOST_S = 120  # seconds that the reference engine may take without being asked for
# Floating-point operations of the reference engine per second, on one core of an AMD EPYC (Zen 4).
READING, TRAINING = 3e7, 1e7
# Each loss in a record of training, and the documents on which it was measured.
LOSSES = {"train_loss": "", "val_loss": "validation", "test_loss": "test"}


def load_model(directory: Path) -> SavedModel:
    """Load a model with `load`; print a note on an unfinished run and on edited sources."""
    saved = load(directory)
    edited = saved.meta.training.get("edited_sources")
    if edited and edited != find_edited_sources():
        note(f"{directory} was trained with an edited reference engine that differs from this one")
    if saved.progress:
        note(f"the training run in {directory} is unfinished; using its model {saved.progress}")
    return saved


def inference(
    saved: SavedModel, uses: Sequence[Use], lengths: Iterable[int] = (), **options: Any
) -> "InferenceGpt":
    """Return a model with the default engine, whose kernels are loaded for these uses.

    Args:
        lengths: number of tokens of each text.
        options: passed to `InferenceGpt`.

    Raises:
        ConfigError: the reference engine would take minutes.
    """
    from microgpt import InferenceGpt, default_engine

    engine = default_engine()
    if engine == "reference":
        check_duration(2 * count_params(saved.model) * sum(lengths) / READING)
    model = InferenceGpt(saved, engine=engine, **options)
    load_kernels(engine, saved.dtype, uses=uses)
    return model


def training_documents(saved: SavedModel, directory: Path) -> Sequence[Document]:
    """Return the documents that a model was trained on.

    They are in the bundled data or the file named in the training checkpoint, whichever has the
    recorded hash.

    Raises:
        DataError: neither has it.
    """
    from microgpt import ReadOptions, fingerprint, load_documents, read_training

    def load(path: Path, how: ReadOptions) -> Sequence[Document]:
        docs = load_documents(path, how)
        return [docs] if isinstance(docs, str) else docs

    expected = saved.meta.training.get("data_sha256")
    how = ReadOptions(saved.config.text, chat=saved.tokenizer.is_chat)
    text = "shakespeare.txt" if saved.config.text == "stream" else DEFAULT_TEXT
    name = DEFAULT_CHAT if saved.tokenizer.is_chat else text
    for path in filter(os.path.isfile, (Path("data", name), bundled(name))):
        docs = load(path, how)
        if fingerprint(docs) == expected:
            return docs
    problem = "the training data of the model was not found"
    with suppress(CheckpointError, DataError):  # there is no checkpoint, or the file has changed
        plan = read_training(directory)[0]
        if plan.input and os.path.isfile(plan.input):
            problem = f"{plan.input} has changed since the model was trained on it"
            docs = load(plan.input, plan.read_options)
            if fingerprint(docs) == expected:
                return docs
    raise DataError(f"{problem}; put the file back as it was")


def loss_text(training: Mapping[str, Any], name: str, what: str = "") -> str:
    """Return a loss in a record of training, what it is, and its contamination; "" if unknown."""
    loss, part = training.get(name), LOSSES[name]
    share = recorded_share(training, part) if part else 0.0
    return f"{loss:.4f}{what}{mark(share)}" if isinstance(loss, float) else ""


def loss_of(meta: Meta) -> str:
    """Return the held-out loss of a model, else its training loss, as text; empty if unknown."""
    held_out = loss_text(meta.training, "val_loss", " held-out")
    return held_out or loss_text(meta.training, "train_loss", " training")


def check_duration(seconds: float) -> None:
    """Raise ConfigError if falling back to the reference engine would take minutes."""
    from microgpt import problem_of

    if seconds > MOST_S and (problem := problem_of("compiled")):
        raise ConfigError(
            f"the reference engine would take about {duration(seconds)}; reduce the amount of "
            f"work, or {problem[1]}"
        )


def note_training_data(
    docs: Sequence[Document], share: float | None, saved: SavedModel, directory: Path
) -> float | None:
    """Return the share of documents that are training data; print a note if it is not 0.

    Args:
        share: the share from `trained_share`. If it is None, the hashes are asked.
    """
    if share is None and (known := read_document_hashes(directory, saved)):
        share = known_share(docs, known)
    if share is None:
        note("this text may be training data of the model, its parent or its teachers")
    elif share:
        note(f"{percentage(share)} of this text is training data; the loss of new text is higher")
    return share


def check_regular(path: Path, remedy: str) -> None:
    """Raise ConfigError if a path is a device or a pipe, or a file that exceeds the free memory."""
    if not os.path.exists(path) or os.path.isdir(path):
        return
    if not os.path.isfile(path):
        raise ConfigError(f"{path} is not a regular file; {remedy}")
    if os.path.getsize(path) > free_bytes():
        raise ConfigError(f"{path} is larger than the free memory; {remedy}")
