"""Notes on documents that are training data of the model that evaluates them."""

from collections.abc import Sequence
from pathlib import Path

from microgpt.amounts import percentage
from microgpt.data.contamination import Bounds, trained_share
from microgpt.data.folding import FoldingTokenizer, fold
from microgpt.data.tokenizer import Document, texts_of
from microgpt.storage.document_hashes import read_document_hashes
from microgpt.storage.model_directory import SavedModel
from microgpt_cli.terminal.console import note


def note_training_data(docs: Sequence[Document], saved: SavedModel, directory: Path) -> Bounds:
    """Return which share of the characters is training data of a model; print a note if any is."""
    share = trained_share(docs, saved.trained_on, read_document_hashes(directory, saved.meta))
    if isinstance(saved.tokenizer, FoldingTokenizer) and any(
        fold(text) != text for doc in docs for text in texts_of(doc)
    ):
        share = Bounds(share.low, 1.0)  # the model reads other documents as these
    if share.low:
        at_least = "" if share.low == share.high else "at least "
        what = f"{at_least}{percentage(share.low)} of this text is training data"
        note(f"{what}; the loss of new text is higher")
    elif share.high:
        note("this text may be training data of the model, its parent or its teachers")
    return share
