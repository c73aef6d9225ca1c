"""Models that only count, with which the loss of a trained model is compared.

A model is a function that returns the probabilities (N, V) of all predictions in documents.
"""

from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt import (
    ChunkedDataset,
    Document,
    EvaluationSet,
    NgramModel,
    SavedModel,
    Split,
    TextKind,
    TokenDataset,
    Tokenizer,
    char_tokenizer,
)

Predict = Callable[[TokenDataset], NDArray[Any]]

MAX_COUNTED = 2**20  # predictions of the training set that are counted; more would take seconds
MAX_NUMBERS = 2**23  # probabilities at once, which bounds the memory
CONTEXT = 256  # longer documents are counted in windows
NAMES = {"uniform": "a uniform guess", "pairs": "pairs", "ngrams": "n-grams"}  # of `baselines`
ORDERS = {"pairs": 2, "ngrams": 6}  # six is about the best n for most texts


def counted(
    docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind
) -> Callable[[int], Predict]:
    """Return a function that makes the n-gram model of an n, of documents or a sample of them."""
    chunks = ChunkedDataset(docs, tokenizer, CONTEXT, text)
    every = max(1, -(-chunks.n_tokens // MAX_COUNTED))
    read = chunks.encode(range(0, len(chunks), every))
    return lambda n: NgramModel(read, tokenizer.vocab_size, n).probabilities


def to_score(
    docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind, block_size: int = CONTEXT
) -> EvaluationSet:
    """Return documents in portions whose probabilities fit into the memory."""
    at_once = max(1, MAX_NUMBERS // tokenizer.vocab_size)
    return EvaluationSet.from_documents(docs, tokenizer, block_size, text, at_once=at_once)


def targets_of(docs: TokenDataset) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the token of each prediction, and whether it counts: (N), (N)."""
    counts = np.frombuffer(docs.mask or b"\1" * len(docs.tokens), bool)
    first = docs.starts[:-1]  # the first token of a document is not predicted
    return np.delete(np.frombuffer(docs.tokens, np.int64), first), np.delete(counts, first)


def loss_of(predict: Predict, docs: EvaluationSet) -> float:
    """Return the loss of a model in nats per token."""
    total = 0.0
    for portion in docs.portions:
        targets, counts = targets_of(portion)
        chosen = predict(portion)[np.arange(len(targets)), targets]
        total -= float(np.log(chosen[counts], dtype=np.float64).sum())
    return total / docs.n_tokens


def baselines(sets: Split, text: TextKind) -> dict[str, float]:
    """Return validation losses of models that only count, in nats per character."""
    tokenizer = char_tokenizer(sets.docs)
    model_of = counted(sets.train, tokenizer, text)
    docs = to_score(sets.validation, tokenizer, text)
    losses = {name: round(loss_of(model_of(n), docs), 4) for name, n in ORDERS.items()}
    return {"uniform": round(log(tokenizer.vocab_size), 4), **losses}


def compared(losses: Mapping[str, object]) -> str:
    """Return losses of `baselines` as text, such as "a uniform guess 3.30, pairs 2.47"."""
    found = ((name, losses.get(key)) for key, name in NAMES.items())
    return ", ".join(f"{name} {loss:.2f}" for name, loss in found if isinstance(loss, float))


def comparison(saved: SavedModel) -> str:
    """Return what the loss of a model is compared with, as text."""
    recorded = saved.meta.training.get("baselines")
    if isinstance(recorded, dict) and (text := compared(recorded)):
        return f"{text} nats per character, on the validation documents of its training"
    return f"{compared({'uniform': log(saved.model.vocab_size)})} nats per token"
