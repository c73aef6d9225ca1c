"""Held-out loss of a character n-gram model, a quick measure of how predictable a text is."""

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from microgpt.data.ngram_model import ORDER, NgramModel
from microgpt.data.token_dataset import TokenDataset

END = "\n"  # mark before and after each document


def ngram_bits(train: Sequence[str], held_out: Sequence[str], order: int = ORDER) -> float:
    """Return the loss of an n-gram model of the training documents, in bits per character.

    The end of a document counts as a character.
    """
    n_characters = sum(map(len, held_out)) + len(held_out)
    return float(document_bits(train, held_out, order).sum()) / n_characters


def document_bits(
    train: Sequence[str], held_out: Sequence[str], order: int = ORDER
) -> NDArray[np.float64]:
    """Return the bits of each held-out document, including its end, under such a model."""
    points = [_code_points(docs) for docs in (train, held_out)]
    characters = np.unique(np.concatenate(points))
    train_set, held_out_set = (
        _dataset(np.searchsorted(characters, each), docs)
        for each, docs in zip(points, (train, held_out), strict=True)
    )
    model = NgramModel(train_set, len(characters), order)
    starts = np.array(held_out_set.starts[:-1]) - np.arange(len(held_out))  # without first tokens
    return np.add.reduceat(-np.log2(model.target_probabilities(held_out_set)), starts)


def _code_points(docs: Sequence[str]) -> NDArray[np.uint32]:
    text = "".join(END + doc + END for doc in docs)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _dataset(tokens: NDArray[np.int64], docs: Sequence[str]) -> TokenDataset:
    dataset = TokenDataset()
    dataset.tokens = array("q", tokens.astype(np.int64).tobytes())
    dataset.starts = array("q", np.cumsum([0, *(len(doc) + 2 for doc in docs)]).tobytes())
    return dataset
