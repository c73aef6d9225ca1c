"""Let an n-gram model predict beside the teachers of an ensemble.

Counts predict a small text about as well as a neural network, and make other errors, so the mean of
both is better than either. The n-gram model predicts only the documents that the teachers make up:
it has counted the text itself, and would only repeat it. Its weight is the one with the lowest loss
of the validation documents. `bench/studies/small_texts.py` measures what this is worth.
"""

from typing import TYPE_CHECKING

from microgpt.data.ngram_model import NgramModel
from microgpt.data.token_dataset import TokenDataset
from microgpt.training.distillation import Teachers

if TYPE_CHECKING:
    from microgpt.data.chunked_dataset import ChunkedDataset

WEIGHTS = tuple(i / 10 for i in range(10))  # the weights that are tried
MIN_GAIN = 0.005  # of the loss; less is within the error of a small validation set
MAX_TOKENS = 100_000  # of the text; counts add less to what is learned from more
PORTION = 64  # number of validation documents to predict at once


def add_ngrams(teachers: Teachers, train: "ChunkedDataset", held_out: "ChunkedDataset") -> None:
    """Give the teachers an n-gram model of the training documents if it lowers their loss."""
    if not (teachers.n_samples and len(held_out) and train.n_tokens <= MAX_TOKENS):
        return
    docs, tested = (chunks.encode(range(len(chunks))) for chunks in (train, held_out))
    ngrams = NgramModel(docs, teachers.tokenizer.vocab_size)
    if weight := best_weight(teachers, ngrams, tested):
        teachers.ngrams, teachers.ngram_weight = ngrams, weight


def best_weight(teachers: Teachers, ngrams: NgramModel, docs: TokenDataset) -> float:
    """Return the weight of the n-gram model with the lowest loss; 0 if it gains little."""
    import numpy as np

    losses = np.zeros(len(WEIGHTS))
    for first in range(0, len(docs), PORTION):
        part = docs[first : min(first + PORTION, len(docs))]
        counted = ngrams.probabilities(part)
        learned = np.zeros(counted.shape, np.float32)
        teachers.add_mean(part, learned)
        targets = np.array([token for doc in part for token in doc[1:]])
        ours, theirs = (each[np.arange(len(targets)), targets] for each in (learned, counted))
        for i, weight in enumerate(WEIGHTS):
            losses[i] -= np.log((1 - weight) * ours + weight * theirs).sum()
    best = int(losses.argmin())
    return WEIGHTS[best] if losses[best] < (1 - MIN_GAIN) * losses[0] else 0.0
