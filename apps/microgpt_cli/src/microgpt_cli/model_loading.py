"""Load the model of a command, and print notes on its training."""

from collections.abc import Sequence
from pathlib import Path

from microgpt.amounts import percentage
from microgpt.data.contamination import Bounds, trained_share
from microgpt.data.folding import FoldingTokenizer, folded
from microgpt.data.tokenizer import Document
from microgpt.storage.document_hashes import read_document_hashes
from microgpt.storage.model_directory import load
from microgpt.storage.saved_model import SavedModel
from microgpt_cli.terminal.console import note


def load_model(directory: Path, *, unfinished: bool = False) -> SavedModel:
    """Load a model like `load`; print a note if the training run is unfinished."""
    return noted(load(directory, unfinished=unfinished), directory)


def noted(saved: SavedModel, directory: Path) -> SavedModel:
    """Return the model unchanged; print a note if the training run in `directory` is unfinished."""
    if saved.progress:
        note(f"the training run in {directory} is unfinished; using its model {saved.progress}")
    return saved


def note_training_data(docs: Sequence[Document], saved: SavedModel, directory: Path) -> Bounds:
    """Return which share of the characters is training data of a model; print a note if any is."""
    known = read_document_hashes(directory, saved.meta)
    share = trained_share(docs, saved.trained_on, known)
    if isinstance(saved.tokenizer, FoldingTokenizer):  # the model reads other documents as these
        read = [folded(doc) for doc in docs]
        low, high = trained_share(read, saved.trained_on, known)
        share = Bounds(max(share.low, low), max(share.high, high) if read == [*docs] else 1.0)
    if share.low:
        at_least = "" if share.low == share.high else "at least "
        what = f"{at_least}{percentage(share.low)} of this text is training data"
        note(f"{what}; the loss of new text is higher")
    elif share.high:
        note("this text may be training data of the model, its parent or its teachers")
    return share
