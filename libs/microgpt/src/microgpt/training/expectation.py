"""The expected held-out loss of a training run, before it begins."""

from collections.abc import Iterable
from math import exp, log
from typing import NamedTuple

from microgpt.data.sizes import count_characters
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document, texts_of

N_CHARACTERS = 1_000_000  # number of training characters that the n-gram models read
# The law and its error, fitted to trainings with the chosen settings on the texts of the fit
# (`bench/studies/fit_choice.py`).
CONSTANT, PER_NGRAM_LOSS, PER_OPERATIONS, PER_CHARACTERS = -0.327, 1.108, -0.039, -0.008
ERROR = 0.17  # standard deviation of the logarithm of the loss, for texts outside the fit


class Expectation(NamedTuple):
    """The expected validation loss, in bits per character."""

    loss: float
    low: float  # the loss is between low and high in about 95 % of the trainings
    high: float


def expected_loss(parts: Split, operations: float) -> Expectation:
    """Return the expected validation loss of a training run with the settings of `choose`.

    It follows from the loss of n-gram models, the operations and the number of characters.
    """
    n_characters = sum(map(count_characters, parts.train))
    mean = CONSTANT + PER_NGRAM_LOSS * log(baseline_bits(parts))
    mean += PER_OPERATIONS * log(operations / 1e13) + PER_CHARACTERS * log(n_characters / 1e6)
    return Expectation(exp(mean), exp(mean - 2 * ERROR), exp(mean + 2 * ERROR))


def baseline_bits(parts: Split) -> float:
    """Return the validation loss of n-gram models, in bits per character."""
    from microgpt.evaluation.ngram_loss import ngram_bits

    docs, n_characters = parts.train, sum(map(count_characters, parts.train))
    every = max(1, n_characters // N_CHARACTERS)
    if len(docs) < 100 * every:  # long documents, such as stretches of running text
        sample = [text[: 1 + N_CHARACTERS // len(docs)] for text in _texts(docs)]
    else:
        sample = _texts(docs[::every])
    return ngram_bits(sample, _texts(parts.validation))


def _texts(docs: Iterable[Document]) -> list[str]:
    return [text for doc in docs for text in texts_of(doc)]
