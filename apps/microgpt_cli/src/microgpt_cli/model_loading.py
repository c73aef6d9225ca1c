"""Find and load the model of a command, and print notes on the model and the data."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import (
    DEMO_MODEL,
    ConfigError,
    Document,
    Meta,
    SavedModel,
    Use,
    bundled,
    find_edited_sources,
    find_plugins,
    known_share,
    load,
    mark,
    percentage,
    read_document_hashes,
)
from microgpt_cli.terminal.console import note

if TYPE_CHECKING:
    from microgpt import InferenceGpt

# The losses in a training record, each with the name of its held-out set, "" for training.
LOSSES = {"train_loss": "", "val_loss": "validation", "test_loss": "test"}


def load_model(directory: Path) -> SavedModel:
    """Load a model; note an unfinished run, or edits of microgpt that the source now lacks."""
    saved = load(directory)
    if saved.meta.training.get("edited_sources") not in (None, find_edited_sources()):
        note(f"{directory} was trained with edits of microgpt, and is wrong without them")
    if saved.progress:
        note(f"the training run in {directory} is unfinished; using its model {saved.progress}")
    return saved


def bundled_chats() -> dict[str, Path]:
    """Return the bundled chat models' paths by name; skerry is omitted without its plug-in."""
    chats = {"skerry": bundled("models/skerry"), "assistant": bundled(DEMO_MODEL)}
    if "characters" not in find_plugins("replies"):
        del chats["skerry"]
    return chats


def inference(saved: SavedModel, uses: Sequence[Use]) -> "InferenceGpt":
    """Return a model on the default engine, and load the engine's kernels for the given uses."""
    from microgpt import InferenceGpt, default_engine, prepare_engine

    engine = default_engine()
    model = InferenceGpt(saved, engine=engine)
    prepare_engine(engine, saved.dtype, uses=uses)
    return model


def loss_text(training: Mapping[str, Any], name: str, what: str = "") -> str:
    """Format a recorded loss with the suffix `what` and any contamination mark; "" if missing."""
    loss, part = training.get(name), LOSSES[name]
    share = recorded_share(training, part) if part else 0.0
    return f"{loss:.4f}{what}{mark(share)}" if isinstance(loss, float) else ""


def loss_of(meta: Meta) -> str:
    """Return a model's held-out loss or, without one, its training loss as text; "" if unknown."""
    held_out = loss_text(meta.training, "val_loss", " held-out")
    return held_out or loss_text(meta.training, "train_loss", " training")


def note_training_data(
    docs: Sequence[Document], share: float | None, saved: SavedModel, directory: Path
) -> float | None:
    """Print a note if documents may be training data; return the fraction that is, if known."""
    if share is None and (hashes := read_document_hashes(directory, saved)):
        share = known_share(docs, hashes)
    if share is None:
        note("this text may be training data of the model, its parent or its teachers")
    elif share:
        known = f"{percentage(share)} of this text is in the training set"
        note(f"{known}, but a short run reads only part of that; new text can have a higher loss")
    return share


def check_regular(path: Path, remedy: str) -> None:
    """Raise ConfigError if recorded data have moved, or were a pipe."""
    if not (os.path.isfile(path) or os.path.isdir(path) or {*"*?["} & {*str(path)}):
        raise ConfigError(f"cannot read the recorded {path}; {remedy}")


def recorded_share(record: Mapping[str, Any], name: str) -> float | None:
    """Return the fraction of a held-out set used in training, according to a training record.

    The fraction is unknown (None) if the record has a parent or teachers, but no fraction.
    """
    try:
        share = record["contamination"][name]
    except (KeyError, TypeError):
        of_derived = "contamination", "ancestor_data", "parent_sha256", "teachers"
        return None if any(record.get(key) for key in of_derived) else 0.0
    return share if isinstance(share, int | float) and 0 <= share <= 1 else None
