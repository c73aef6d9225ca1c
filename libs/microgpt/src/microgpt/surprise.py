"""Score texts and explain predictions by surprise, minus the logarithm of a probability."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

import numpy as np

from microgpt.config import N_ALTERNATIVES, TextKind, TrainConfig, checked
from microgpt.data.context import SlidingWindows, chunks_of, default_stride
from microgpt.data.tokenizer import (
    Document,
    Message,
    Tokenizer,
    are_texts,
    as_conversation,
    as_documents,
)
from microgpt.errors import ConfigError, PromptError
from microgpt.evaluation import EvaluationSet, bits
from microgpt.inference import InferenceGpt
from microgpt.sampling import NOT_FINITE_MESSAGE

UNKNOWN_BITS = math.log2(0x110000)  # for an unknown character: all code points are equally likely


class Score(NamedTuple):
    """The surprise of a model at a text: minus the binary logarithm of the text's probability."""

    text: str
    bits: float  # total surprise, including that of the end of the text if it is scored
    n_scored: int  # number of characters, plus one if the end of the text is scored
    n_unknown: int  # number of characters that are not in the vocabulary

    @property
    def bits_per_character(self) -> float:
        """The surprise in bits per character; a scored end of the text counts as a character."""
        return self.bits / self.n_scored if self.n_scored else 0.0


def score_texts(
    gpt: InferenceGpt, texts: Iterable[str], *, text: TextKind = "lines"
) -> list[Score]:
    """Return the score of each text; the model must have been trained on texts.

    Unknown characters are removed, and each adds UNKNOWN_BITS to the score. A text longer than the
    context is read in overlapping windows, as in `InferenceGpt.evaluate`.

    Args:
        text: "stream" for running text, whose end is not scored.
    """
    tokenizer, size, n_ends = gpt.tokenizer, gpt.config.block_size, int(text == "lines")
    if tokenizer.is_chat:
        raise ConfigError("a chat model cannot score texts; use a model trained on texts")
    docs = as_documents(texts)
    if not are_texts(docs):
        raise ConfigError("texts must not contain conversations; pass their messages")
    omit = str.maketrans("", "", tokenizer.unknown_characters("".join({*"".join(docs)})))
    read = [each.translate(omit) for each in docs]
    chunks = [[*chunks_of(each, tokenizer, size, text)] for each in read]
    portions = EvaluationSet(chunks).portions
    losses = np.concatenate([np.empty(0), *map(gpt.engine_model.losses, portions)])
    if not np.isfinite(losses).all():
        raise PromptError(NOT_FINITE_MESSAGE)
    counts = [sum(len(tokens) - 1 for tokens, _ in of_text) for of_text in chunks]
    text_ids = np.repeat(np.arange(len(chunks)), np.array(counts, np.int64))
    sums = np.bincount(text_ids, losses / math.log(2), len(chunks)).tolist()  # masked tokens add 0
    n_unknown = [len(each) - len(known) for each, known in zip(docs, read, strict=True)]
    return [
        Score(each, read_bits + UNKNOWN_BITS * n, len(each) + n_ends, n)
        for each, read_bits, n in zip(docs, sums, n_unknown, strict=True)
    ]


@dataclass(frozen=True)
class Alternative:
    """One of the most likely tokens at a position."""

    token: int
    text: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The prediction at one position, and the actual token."""

    token: int  # the actual token
    text: str  # text of the actual token, or a name such as "<|user|>" if it is special
    probability: float  # predicted probability of the actual token
    bits: float  # surprise of the actual token: minus the binary logarithm of its probability
    entropy: float  # entropy of the prediction in bits, which is the expected surprise
    alternatives: tuple[Alternative, ...]  # the most likely tokens, by descending probability


@dataclass(frozen=True)
class Explanation:
    """The predictions of a model for a text."""

    predictions: tuple[Prediction, ...]  # one for each token in `read`
    read: tuple[str, ...]  # labels of the tokens that the model reads: all but the last token
    has_end: bool = True  # whether the end of the text is scored; False for running text

    @property
    def bits(self) -> float:
        """The total surprise in bits, including the end of the text if it has one."""
        return math.fsum(prediction.bits for prediction in self.scored)

    @property
    def scored(self) -> tuple[Prediction, ...]:
        """The predictions that count towards the loss, as in `evaluate` and `score_texts`."""
        return self.predictions if self.has_end else self.predictions[:-1]


def explain(
    gpt: InferenceGpt,
    text: Document,
    *,
    n_alternatives: int = N_ALTERNATIVES,
    text_kind: TextKind = TrainConfig.text,
) -> Explanation:
    """Explain the predictions of a model for a text or a conversation.

    The last prediction is for the end of the text, which is not scored in running text. A text
    longer than the context is read in overlapping windows, as in `InferenceGpt.evaluate`.

    Args:
        text: a text; for a chat model, a conversation or one user message.
        n_alternatives: maximum number of most likely tokens to return for each position.
        text_kind: "stream" if the model was trained on running text, which has no end.
    """
    if not isinstance(text, str):
        text = as_conversation("text", text)
    elif gpt.tokenizer.is_chat:
        text = (Message("user", text),)
    tokens, has_end = gpt.tokenizer.encode_document(text), text_kind == "lines"
    if gpt.tokenizer.is_chat:
        tokens.pop()  # drop the end of the conversation, which models are not trained to predict
    checked("n_alternatives", n_alternatives, int, minimum=0)
    size, first = gpt.config.block_size, None if has_end else tokens[0]  # BOS, for running text
    rows = (
        row
        for chunk, mask in SlidingWindows(tokens, size, default_stride(size), first)
        for row in gpt.log_probabilities(chunk[:-1], mask.find(1, 1) - 1 if mask else 0)
    )
    predictions = [
        _prediction(gpt.tokenizer, token, row, n_alternatives)
        for token, row in zip(tokens[1:], rows, strict=True)
    ]
    return Explanation(tuple(predictions), tuple(map(gpt.tokenizer.label, tokens[:-1])), has_end)


def _prediction(tokenizer: Tokenizer, token: int, row: Sequence[float], n: int) -> Prediction:
    """Return the prediction of a token from the log-probabilities of all tokens."""
    best = nlargest(n, range(len(row)), key=row.__getitem__)
    return Prediction(
        token,
        tokenizer.label(token),
        math.exp(row[token]),
        bits(-row[token]),
        bits(-math.fsum(math.exp(x) * x for x in row)),
        tuple(Alternative(each, tokenizer.label(each), math.exp(row[each])) for each in best),
    )
