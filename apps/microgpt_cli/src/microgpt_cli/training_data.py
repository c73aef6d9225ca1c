"""Notes on documents that are training data of the model that evaluates them."""

from collections.abc import Sequence
from pathlib import Path

from microgpt.amounts import percentage
from microgpt.data.contamination import trained_share
from microgpt.data.sizes import count_characters
from microgpt.data.tokenizer import Document
from microgpt.storage.document_hashes import read_document_hashes
from microgpt.storage.model_directory import SavedModel
from microgpt_cli.terminal.console import note


def note_training_data(docs: Sequence[Document], saved: SavedModel, directory: Path) -> float:
    """Return which share of the characters is training data of a model; print a note if any is."""
    share = trained_share(docs, saved.trained_on)
    known = None if share else read_document_hashes(directory, saved.meta)
    if known is not None:  # other documents, of which some may be training documents
        n_known = sum(count_characters(doc) for doc in docs if doc in known)
        share = n_known / max(1, sum(map(count_characters, docs)))
    if share:
        note(f"{percentage(share)} of this text is training data; the loss of new text is higher")
    return share
