"""Held-out loss of a character n-gram model, a quick measure of how predictable a text is."""

from collections.abc import Sequence

import numpy as np

from microgpt.data.ngram_model import ORDER, NgramModel
from microgpt.data.token_dataset import TokenDataset
from microgpt.evaluation.held_out_loss import EvaluationSet

END = "\n"  # mark before and after each document


def ngram_bits(train: Sequence[str], held_out: Sequence[str], order: int = ORDER) -> float:
    """Return the loss of an n-gram model of the training documents, in bits per character.

    The end of a document counts as a character.
    """
    ids = {char: i for i, char in enumerate(sorted({END}.union(*train, *held_out)))}
    train_set, held_out_set = (
        TokenDataset([ids[char] for char in END + doc + END] for doc in docs)
        for docs in (train, held_out)
    )
    model = NgramModel(train_set, len(ids), order)
    evaluation = EvaluationSet([(doc, None)] for doc in held_out_set).evaluate(
        lambda docs: -float(np.log(model.target_probabilities(docs)).sum())
    )
    assert evaluation
    return evaluation.bits_per_character
