"""Explain the predictions of a model at each position of a text."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from heapq import nlargest

from microgpt.config import N_ALTERNATIVES, TextKind, TrainConfig, checked
from microgpt.data.chunked_dataset import SlidingWindows
from microgpt.data.tokenizer import Document, Message, Tokenizer, as_conversation
from microgpt.evaluation.held_out_loss import bits
from microgpt.inference import InferenceGpt


@dataclass(frozen=True)
class Alternative:
    """One of the most likely tokens at a position."""

    token: int
    text: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The prediction at one position, and the actual token."""

    token: int  # the token that came
    text: str  # its text; "<|user|>" and similar for special tokens
    probability: float  # the model gave it to this token
    bits: float  # the surprise is minus the binary logarithm of the probability
    entropy: float  # the surprise that the model expected, in bits
    alternatives: tuple[Alternative, ...]  # the most likely tokens, the most likely first


@dataclass(frozen=True)
class Explanation:
    """The predictions of a model for a text."""

    predictions: tuple[Prediction, ...]  # there is one for each token in `read`
    read: tuple[str, ...]  # what the model reads: the start token, then all tokens but the last
    has_end: bool = True  # False for running text, which may go on

    @property
    def bits(self) -> float:
        """The total surprise in bits, including the end of the text if it has one."""
        return math.fsum(prediction.bits for prediction in self.scored)

    @property
    def scored(self) -> tuple[Prediction, ...]:
        """The predictions that count towards the loss, as in `evaluate` and `Scorer`."""
        return self.predictions if self.has_end else self.predictions[:-1]

    def facts(self) -> dict[str, object]:
        """Return everything as JSON values."""
        return {
            "bits": self.bits,
            "n_scored": len(self.scored),
            "predictions": [asdict(each) for each in self.predictions],
            "read": list(self.read),
        }


def explain(
    gpt: InferenceGpt,
    text: Document,
    *,
    n_alternatives: int = N_ALTERNATIVES,
    text_kind: TextKind = TrainConfig.text,
) -> Explanation:
    """Explain the predictions of a model for a text or a conversation.

    The last prediction is for the end of the text; for running text, it does not count. A text
    longer than the context is read in windows, as in `InferenceGpt.evaluate`.

    Args:
        text: for a chat model, a conversation or one user message.
        n_alternatives: number of most likely tokens at each position; all if there are fewer.
        text_kind: "stream" if the model was trained on running text, which has no end.

    Raises:
        ConfigError: an argument is out of range.
        TokenizerError: the text contains an unknown character.

    Examples:
        >>> from microgpt import InferenceGpt, TrainConfig, train
        >>> model = InferenceGpt(train(["anna"], config=TrainConfig(steps=60)))
        >>> [each.text for each in explain(model, "anna").predictions]
        ['a', 'n', 'n', 'a', '<|bos|>']
    """
    if not isinstance(text, str):
        text = as_conversation("text", text)
    elif gpt.tokenizer.is_chat:
        text = (Message("user", text),)
    tokens, has_end = gpt.tokenizer.encode_document(text), text_kind == "lines"
    if gpt.tokenizer.is_chat:
        tokens.pop()  # the end of the conversation, which is not learned
    checked("n_alternatives", n_alternatives, int, minimum=0)
    first = None if has_end else tokens[0]  # `chunks_of` does the same
    rows = (
        row
        for chunk, mask in SlidingWindows(tokens, gpt.config.block_size, first=first)
        for row in gpt.log_probabilities(chunk[:-1], mask.find(1, 1) - 1 if mask else 0)
    )
    predictions = [
        _prediction(gpt.tokenizer, token, row, n_alternatives)
        for token, row in zip(tokens[1:], rows, strict=True)
    ]
    labels = tuple(map(gpt.tokenizer.label, tokens[:-1]))
    return Explanation(tuple(predictions), labels, has_end)


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
