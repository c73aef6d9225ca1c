"""Held-out loss: mean negative log-likelihood (NLL) per token; exp(loss) is the perplexity."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from microgpt.config import TextKind, checked
from microgpt.data.context import Chunk, chunks_of
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import Document, Tokenizer, count_predictions
from microgpt.errors import DataError

AT_ONCE = 2**16  # number of tokens per portion; `should_stop` is called before each portion

# A function that returns the summed NLL of all unmasked target tokens, in nats.
Nll = Callable[[TokenDataset], float]


@dataclass(frozen=True)
class HeldOutLoss:
    """The loss of a model on held-out documents."""

    loss: float  # mean NLL per unmasked token, in nats
    n_docs: int
    n_tokens: int  # number of unmasked tokens
    n_characters: int  # number of characters in the unmasked tokens; a special token counts as one
    contamination: float | None = 0.0  # fraction of docs used in training; None if unknown

    @property
    def bits_per_character(self) -> float:
        """The loss in bits per character, which is comparable across tokenizers."""
        return bits(self.loss) * (self.n_tokens / self.n_characters)


def bits(nats: float) -> float:
    """Convert nats to bits."""
    return nats / math.log(2)


class EvaluationSet:
    """Documents that are split into chunks once and evaluated repeatedly."""

    def __init__(self, docs: Iterable[Iterable[Chunk]], *, at_once: int = AT_ONCE) -> None:
        """Group the chunks of documents into portions of about `at_once` tokens."""
        self.n_docs = 0
        self.portions: list[TokenDataset] = []  # each has about `at_once` tokens
        for doc in docs:
            self.n_docs += 1
            for tokens, mask in doc:
                if not self.portions or len(self.portions[-1].tokens) >= at_once:
                    self.portions.append(TokenDataset())
                self.portions[-1].append(tokens, mask)
        self.n_tokens = sum(portion.n_predictions for portion in self.portions)
        self.n_characters = self.n_tokens  # `from_documents` replaces it with the exact number

    @classmethod
    def from_documents(
        cls,
        docs: Sequence[Document],
        tokenizer: Tokenizer,
        block_size: int,
        text: TextKind,
        *,
        at_once: int = AT_ONCE,
    ) -> Self:
        """Return an evaluation set of documents, split into chunks for a context of block_size."""
        checked("text", text, TextKind)
        found = cls((chunks_of(doc, tokenizer, block_size, text) for doc in docs), at_once=at_once)
        found.n_characters = sum(count_predictions(doc, text, len) for doc in docs)
        if not found.n_tokens:
            raise DataError(
                "there are no documents to evaluate, or the held-out conversations have no "
                "assistant replies; add conversations with replies"
            )
        return found

    def evaluate(
        self, nll: Nll, should_stop: Callable[[], bool] = lambda: False
    ) -> HeldOutLoss | None:
        """Return the loss, or None if `should_stop`, called before each portion, returns True."""
        total = 0.0
        for portion in self.portions:
            if should_stop():
                return None
            total += nll(portion)
        return HeldOutLoss(total / self.n_tokens, self.n_docs, self.n_tokens, self.n_characters)
