"""Add an n-gram model to the teachers of an ensemble.

Counts predict a small text about as well as a neural network, but make different errors, so the
mean of both is better than either. The n-gram model predicts only the documents that the teachers
generate, because its counts come from the text itself. Its weight is chosen for the lowest loss on
the validation documents. `bench/small_texts.py` measures the gain.
"""

import numpy as np

from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.data.ngram_model import NgramModel
from microgpt.data.token_dataset import TokenDataset
from microgpt.training.distillation import Teachers

WEIGHTS = tuple(i / 10 for i in range(10))  # the weights that are tried
MIN_GAIN = 0.005  # of the loss; less is within the error of a small validation set
MAX_TOKENS = 100_000  # of the text; counts add less to what is learned from more
PORTION = 2**24  # number of probabilities of the teachers at once, which bounds the memory


def add_ngrams(teachers: Teachers, train: ChunkedDataset, held_out: ChunkedDataset) -> None:
    """Add an n-gram model of the training documents to the teachers if it lowers their loss."""
    if not (teachers.n_samples and len(held_out)) or train.n_tokens > MAX_TOKENS:
        return
    ngrams = NgramModel(train.encode(range(len(train))), teachers.tokenizer.vocab_size)
    weight = best_weight(teachers, ngrams, held_out.encode(range(len(held_out))))
    if weight:
        teachers.ngrams, teachers.ngram_weight = ngrams, weight


def best_weight(teachers: Teachers, ngrams: NgramModel, docs: TokenDataset) -> float:
    """Return the weight of the n-gram model with the lowest loss; 0 if the gain is small."""
    losses = np.zeros(len(WEIGHTS))
    n_docs = max(1, PORTION // max(1, docs.longest * ngrams.vocab_size))
    for first in range(0, len(docs), n_docs):
        part = docs[first : min(first + n_docs, len(docs))]
        targets = np.array([token for doc in part for token in doc[1:]])
        learned = np.zeros((len(targets), ngrams.vocab_size), np.float32)
        teachers.add_mean(part, learned)
        chosen, counted = (np.arange(len(targets)), targets), ngrams.probabilities(part)
        ours, theirs = learned[chosen], counted[chosen]
        masks = (part.mask_of(i) or b"\1" * len(doc) for i, doc in enumerate(part))
        counts = np.array([each for mask in masks for each in mask[1:]])
        for i, weight in enumerate(WEIGHTS):
            losses[i] -= counts @ np.log((1 - weight) * ours + weight * theirs)
    best = int(losses.argmin())
    return WEIGHTS[best] if losses[best] < (1 - MIN_GAIN) * losses[0] else 0.0
