"""One of the texts that a client asked for, as far as it has come.

Whole or streamed, a text comes about here, so that both are the same.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from microgpt.batching.jobs import Continuation
from microgpt.batching.sample_iterators import HALF_A_CHARACTER, cut, settled
from microgpt.data.tokenizer import Tokenizer
from microgpt.sampling import FinishReason


class TextUpdate(NamedTuple):
    """What has come since a choice was looked at last."""

    text: str
    tokens: list[int]  # the last may be the one that ended it, which is no text
    offset: int  # the characters that were told earlier
    n_before: int  # … and the tokens, which come later than a part of their text may


class Choice:
    """A text in the making.

    Attributes:
        index: its number among those of the request.
        text: what is certain of it.
        prompt: what the model reads first.
        tokens: those of the text.
        stop_token: the token that ended it, if one did.
        finish_reason: why it ended; None while it goes on.
    """

    def __init__(
        self,
        index: int,
        tokenizer: Tokenizer,
        *,
        stop: Sequence[str] = (),
        prompt: Sequence[int] = (),
        echo: Sequence[int] = (),
    ) -> None:
        """Begin.

        Args:
            index: see above.
            tokenizer: of the model.
            stop: the text ends before the first of these.
            prompt: what the model reads first.
            echo: those tokens at its end that are told before the text.
        """
        self.index = index
        self.prompt = prompt
        self.text = ""
        self.tokens: list[int] = []
        self.stop_token: int | None = None
        self.finish_reason: FinishReason | None = None
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._echo = list(echo)
        self._echo_text = tokenizer.decode(echo)
        self._n_characters_told = self._n_tokens_told = 0

    def grow(self, continuation: Continuation) -> None:
        """Take what the model has made of it so far; what comes after its end is left out."""
        if self.finish_reason:
            return
        decoded = text = self._tokenizer.decode(continuation.tokens)
        if continuation.finish_reason is None:
            text = text.rstrip(HALF_A_CHARACTER)
        self.text = cut(text, self._stop)
        if len(self.text) < len(text):
            self.finish_reason = "stop"
        elif continuation.finish_reason:
            self.finish_reason = continuation.finish_reason
            self.stop_token = continuation.stop_token
        else:
            self.text = settled(text, self._stop)
        self.tokens = continuation.tokens
        if len(self.text) < len(decoded):
            self.tokens = self.tokens[: self._n_tokens_of(self.text)]

    def news(self) -> TextUpdate:
        """Return what has come since this was asked last."""
        text, tokens = self._echo_text + self.text, self._told_tokens()
        offset, n_before = self._n_characters_told, self._n_tokens_told
        news = TextUpdate(text[offset:], tokens[n_before:], offset, n_before)
        self._n_characters_told, self._n_tokens_told = len(text), len(tokens)
        return news

    def offsets(self, news: TextUpdate) -> list[int]:
        """Return where in the text each new token begins: the whole characters before it."""
        offsets, n_characters = list[int](), 0

        def watched() -> Iterator[int]:
            for token in self._told_tokens():
                offsets.append(n_characters)  # of what came of the tokens before
                yield token

        for text in self._tokenizer.decode_stream(watched()):
            n_characters += len(text)
        return offsets[news.n_before : news.n_before + len(news.tokens)]

    def _told_tokens(self) -> list[int]:
        """Return the tokens of echo and text, and the one that ended it."""
        end = [] if self.stop_token is None else [self.stop_token]
        return [*self._echo, *self.tokens, *end]

    def _n_tokens_of(self, text: str) -> int:
        """Return how many tokens lie in a text that these tokens begin with."""

        def length(n: int) -> int:
            return len(self._tokenizer.decode(self.tokens[:n]))

        return bisect_right(range(len(self.tokens) + 1), len(text), key=length) - 1
