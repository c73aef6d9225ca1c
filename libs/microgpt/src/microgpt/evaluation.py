"""How well a model predicts documents, whatever computes it.

This module knows nothing of text or of files.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from microgpt.corpus import Corpus, Tokens
from microgpt.model import Gpt, cross_entropy
from microgpt.windows import windows

AT_ONCE = 2**16  # tokens between two looks at whether to stop

# Returns the sum of the surprise at each token after the first, in nats, of documents without as
# many of their first predictions as the numbers say.
Surprise = Callable[[Sequence[Tokens], Sequence[int]], float]


@dataclass(frozen=True)
class Evaluation:
    """How well a model predicts documents.

    Attributes:
        loss: the mean surprise at a token, the end of each document included, in nats.
        n_docs: the documents.
        n_tokens: the tokens that were predicted.
    """

    loss: float
    n_docs: int
    n_tokens: int

    @property
    def bits_per_character(self) -> float:
        """The same in bits, where the end of a document counts as a character."""
        return bits(self.loss)


def bits(nats: float) -> float:
    """Return a surprise in bits."""
    return nats / math.log(2)


class Pieces:
    """Documents as they are scored: one that is longer than the context in overlapping windows."""

    def __init__(self, docs: Iterable[Tokens], block_size: int, *, at_once: int = AT_ONCE) -> None:
        """Take documents, as tokens, 2 or more each; at_once is for `evaluate`."""
        self.n_docs = self.n_tokens = 0
        self._portions: list[tuple[Corpus, list[int]]] = []
        for doc in docs:
            self.n_docs += 1
            self.n_tokens += len(doc) - 1
            for tokens, n_made in windows(doc, block_size):
                if not self._portions or len(self._portions[-1][0].tokens) >= at_once:
                    self._portions.append((Corpus(), []))
                self._portions[-1][0].append(tokens)
                self._portions[-1][1].append(n_made)

    def evaluate(
        self, surprise: Surprise, should_stop: Callable[[], bool] = lambda: False
    ) -> Evaluation | None:
        """Return how well they are predicted, or None if it was stopped.

        Args:
            surprise: is called with `at_once` tokens at a time, or a document.
            should_stop: is asked in between.
        """
        total = 0.0
        for pieces, n_made in self._portions:
            if should_stop():
                return None
            total += surprise(pieces, n_made)
        return Evaluation(total / self.n_tokens, self.n_docs, self.n_tokens)


def scalar_surprise(gpt: Gpt[float], docs: Sequence[Tokens], n_made: Sequence[int]) -> float:
    """Return what a `Surprise` does, on scalars.

    Args:
        gpt: on floats.
        docs: as tokens, 2 or more each.
        n_made: of each document, how many of its first predictions do not count.
    """
    total_loss = 0.0
    for tokens, n in zip(docs, n_made, strict=True):
        cache = gpt.new_cache()
        for i, (token, target) in enumerate(pairwise(tokens)):
            logits = gpt.forward(token, cache)
            if i >= n:
                total_loss += cross_entropy(logits, target)
    return total_loss
