"""Held-out loss of a character n-gram model, a quick measure of how predictable a text is."""

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from microgpt.data.ngram_model import ORDER, NgramModel
from microgpt.data.token_dataset import TokenDataset
from microgpt.evaluation.held_out_loss import EvaluationSet

END = "\n"  # mark before and after each document


def ngram_bits(train: Sequence[str], held_out: Sequence[str], order: int = ORDER) -> float:
    """Return the loss of an n-gram model of the training documents, in bits per character.

    The end of a document counts as a character.
    """
    points = [_code_points(docs) for docs in (train, held_out)]
    characters = np.unique(np.concatenate(points))
    train_set, held_out_set = (
        _dataset(np.searchsorted(characters, each), docs)
        for each, docs in zip(points, (train, held_out), strict=True)
    )
    model = NgramModel(train_set, len(characters), order)
    evaluation = EvaluationSet([(doc, None)] for doc in held_out_set).evaluate(
        lambda docs: -float(np.log(model.target_probabilities(docs)).sum())
    )
    assert evaluation
    return evaluation.bits_per_character


def _code_points(docs: Sequence[str]) -> NDArray[np.uint32]:
    text = "".join(END + doc + END for doc in docs)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _dataset(tokens: NDArray[np.int64], docs: Sequence[str]) -> TokenDataset:
    dataset = TokenDataset()
    dataset.tokens = array("q", tokens.astype(np.int64).tobytes())
    dataset.starts = array("q", np.cumsum([0, *(len(doc) + 2 for doc in docs)]).tobytes())
    return dataset
