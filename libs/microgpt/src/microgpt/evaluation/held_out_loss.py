"""Held-out loss: mean negative log-likelihood (NLL) of documents.

The perplexity is the exponential of the loss per token, `exp(loss)`.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from microgpt.data.sliding_windows import Chunk
from microgpt.data.token_dataset import TokenDataset

AT_ONCE = 2**16  # number of tokens between calls to should_stop

# Function that returns the summed NLL of all unmasked target tokens, in nats.
Nll = Callable[[TokenDataset], float]


@dataclass(frozen=True)
class HeldOutLoss:
    """The loss of a model on held-out documents."""

    loss: float  # mean NLL per unmasked token, in nats
    n_docs: int
    n_tokens: int  # number of unmasked tokens
    n_characters: int  # number of characters of the unmasked tokens; a special token counts as one

    @property
    def bits_per_character(self) -> float:
        """Loss in bits per character, which is comparable between tokenizers."""
        return bits(self.loss) * (self.n_tokens / self.n_characters)


def bits(nats: float) -> float:
    """Convert nats to bits."""
    return nats / math.log(2)


class EvaluationSet:
    """Documents split into chunks, to be scored repeatedly."""

    def __init__(
        self,
        docs: Iterable[Iterable[Chunk]],
        *,
        at_once: int = AT_ONCE,
        n_characters: int | None = None,
    ) -> None:
        """Store the chunks of each document, as returned by `chunked_dataset.scored`.

        n_characters is the number of characters of the scored tokens; the default is one per token.
        """
        self.n_docs = 0
        self._portions: list[TokenDataset] = []
        for doc in docs:
            self.n_docs += 1
            for chunk in doc:
                if not self._portions or len(self._portions[-1].tokens) >= at_once:
                    self._portions.append(TokenDataset())
                self._portions[-1].append(*chunk)
        self.n_tokens = sum(portion.n_predictions for portion in self._portions)
        self._n_characters = self.n_tokens if n_characters is None else n_characters

    def evaluate(
        self, nll: Nll, should_stop: Callable[[], bool] = lambda: False
    ) -> HeldOutLoss | None:
        """Return the loss, or None if `should_stop` returned True.

        Each `nll` call processes about `at_once` tokens. `should_stop` is called before each call.
        """
        total = 0.0
        for portion in self._portions:
            if should_stop():
                return None
            total += nll(portion)
        loss = total / self.n_tokens
        return HeldOutLoss(loss, self.n_docs, self.n_tokens, self._n_characters)
