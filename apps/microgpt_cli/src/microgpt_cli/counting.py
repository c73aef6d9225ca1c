"""Losses of models that only count: what the loss of a trained model is compared with."""

from collections.abc import Mapping, Sequence
from math import log

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

MAX_COUNTED = 2**20  # characters of the training set that are counted; more would take seconds
MAX_NUMBERS = 2**23  # probabilities at once, which bounds the memory
CONTEXT = 256  # longer documents are counted in windows
ORDERS = (2, 6)  # pairs, and what is the best n-gram of most texts
NAMES = {"uniform": "a uniform guess", "pairs": "pairs", "ngrams": "n-grams"}  # of `baselines`


class Uniform:
    """The guess that all tokens are equally likely."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def nll(self, docs: TokenDataset) -> float:
        """Return the summed loss of all predictions that count, in nats."""
        return docs.n_predictions * log(self.vocab_size)

    def next_token(self, tokens: Sequence[int]) -> NDArray[np.float64]:
        """Return the probabilities of the token after some tokens: (V)."""
        return np.full(self.vocab_size, 1 / self.vocab_size)


class Counted:
    """An n-gram model of documents."""

    def __init__(self, docs: TokenDataset, vocab_size: int, order: int) -> None:
        self._model = NgramModel(docs, vocab_size, order)

    def nll(self, docs: TokenDataset) -> float:
        """Return the summed loss of all predictions that count, in nats."""
        targets, counts = targets_of(docs)
        chosen = self._model.probabilities(docs)[np.arange(len(targets)), targets]
        return -float(np.log(chosen[counts]).sum())

    def next_token(self, tokens: Sequence[int]) -> NDArray[np.float64]:
        """Return the probabilities of the token after some tokens: (V)."""
        found: NDArray[np.float64] = self._model.probabilities(TokenDataset([[*tokens, 0]]))
        return found[-1]


def targets_of(docs: TokenDataset) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the token of each prediction, and whether it counts: (N), (N)."""
    counts = np.frombuffer(docs.mask or b"\1" * len(docs.tokens), bool)
    first = docs.starts[:-1]  # the first token of a document is not predicted
    return np.delete(np.frombuffer(docs.tokens, np.int64), first), np.delete(counts, first)


def counted_documents(
    docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind
) -> TokenDataset:
    """Return the tokens that n-grams are counted in: of all documents, or of a sample."""
    chunks = ChunkedDataset(docs, tokenizer, CONTEXT, text)
    every = max(1, -(-chunks.n_tokens // MAX_COUNTED))
    return chunks.encode(range(0, len(chunks), every))


def held_out(
    docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind, block_size: int = CONTEXT
) -> EvaluationSet:
    """Return documents to be scored, in portions whose probabilities fit into the memory."""
    at_once = max(1, MAX_NUMBERS // tokenizer.vocab_size)
    return EvaluationSet.from_documents(docs, tokenizer, block_size, text, at_once=at_once)


def baselines(sets: Split, text: TextKind) -> dict[str, float]:
    """Return the validation losses of models that only count, in nats per character."""
    tokenizer = char_tokenizer(sets.docs)
    found = [log(tokenizer.vocab_size)]
    if sets.validation:
        docs = counted_documents(sets.train, tokenizer, text)
        scored = held_out(sets.validation, tokenizer, text)
        for order in ORDERS:
            loss = scored.evaluate(Counted(docs, tokenizer.vocab_size, order).nll)
            assert loss
            found.append(loss.loss)
    return {name: round(loss, 4) for name, loss in zip(NAMES, found, strict=False)}


def compared(found: Mapping[str, object]) -> str:
    """Return losses of `baselines` as text, such as "a uniform guess 3.30, pairs 2.47"."""
    losses = ((name, found.get(key)) for key, name in NAMES.items())
    return ", ".join(f"{name} {loss:.2f}" for name, loss in losses if isinstance(loss, float))


def comparison(saved: SavedModel) -> str:
    """Return what the loss of a model is compared with, as text."""
    recorded = saved.meta.training.get("baselines")
    if isinstance(recorded, dict) and (text := compared(recorded)):
        return f"{text} nats per character, on the validation documents of its training"
    return f"{compared({'uniform': log(saved.model.vocab_size)})} nats per token"
