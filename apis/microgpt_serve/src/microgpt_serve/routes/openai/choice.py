"""A choice in a response, with text that grows during generation.

Streamed and complete responses are both built from choices, so that the texts are identical.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from microgpt.batching.stop_strings import REPLACEMENT_CHARACTER, cut_at_stop, stable_prefix
from microgpt.data.tokenizer import Tokenizer
from microgpt.sampling import Continuation, FinishReason

# Log-probabilities of the most likely tokens at a position, in order, and of the token that came;
# None for the first token of a text, because it has no context.
Likely = dict[int, float] | None


class TextUpdate(NamedTuple):
    """The text and tokens added to a choice since the previous update."""

    text: str
    tokens: list[int]  # may end with the stop token, which is not part of the text
    offset: int  # number of characters in previous updates
    n_before: int  # number of tokens in previous updates; a token may be sent after its text
    likely: Sequence[Likely] = ()  # for each token, if log-probabilities are requested


class GeneratedChoice:
    """Text that grows during generation, with its tokens and finish reason."""

    def __init__(
        self,
        index: int,
        tokenizer: Tokenizer,
        *,
        stop: Sequence[str] = (),
        prompt: Sequence[int] = (),
        echo: Sequence[int] = (),
        echo_text: str = "",
    ) -> None:
        """Create an empty choice. The text is cut at stop strings; the echo precedes it."""
        self.index, self.prompt = index, prompt
        self.text = ""  # generated text that can no longer change
        self.n_tokens = 0  # number of its tokens
        self.stop_token: int | None = None  # stop token at the end of the text, if any
        self.finish_reason: FinishReason | None = None
        self._tokenizer, self._stop, self._echo = tokenizer, tuple(stop), list(echo)
        self._echo_text = echo_text
        self._received = array("I")  # all generated tokens
        self._decoded = 0, 0  # tokens and characters up to a complete character of the text
        self._n_characters_sent = self._n_tokens_sent = 0

    @property
    def tokens(self) -> list[int]:
        """The tokens of the generated text."""
        return self._received[: self.n_tokens].tolist()

    def extend(self, continuation: Continuation) -> None:
        """Add new tokens and cut the text at the first stop string."""
        if self.finish_reason:
            return
        decode, tokens = self._tokenizer.decode, self._received
        tokens.extend(continuation.tokens)
        start, n_characters = self._decoded
        decoded = text = self.text[:n_characters] + decode(tokens[start:])
        if continuation.finish_reason is None:
            text = text.rstrip(REPLACEMENT_CHARACTER)
        n_stable = len(self.text)
        self.text = cut_at_stop(text, self._stop, n_stable)
        if len(self.text) < len(text):
            self.finish_reason = "stop"
        elif continuation.finish_reason:
            self.finish_reason = continuation.finish_reason
            self.stop_token = continuation.stop_token
        else:
            self.text = stable_prefix(text, self._stop, n_stable)
        self.n_tokens = len(tokens)
        if len(self.text) < len(decoded):  # omit the tokens after the stop string

            def length(end: int) -> int:
                return n_characters + len(decode(tokens[start:end]))

            ends = range(start, len(tokens) + 1)
            self.n_tokens = start + bisect_right(ends, len(self.text), key=length) - 1
            decoded = self.text[:n_characters] + decode(tokens[start : self.n_tokens])
        if not decoded.endswith(REPLACEMENT_CHARACTER):
            self._decoded = self.n_tokens, len(decoded)

    def update(self) -> TextUpdate:
        """Return the text and tokens that were added since the last call."""
        text, tokens = self._echo_text + self.text, self._all_tokens(self._n_tokens_sent)
        offset, n_before = self._n_characters_sent, self._n_tokens_sent
        self._n_characters_sent, self._n_tokens_sent = len(text), n_before + len(tokens)
        return TextUpdate(text[offset:], tokens, offset, n_before)

    def offsets(self, update: TextUpdate) -> list[int]:
        """Return the number of complete characters before each new token of an update."""
        offsets, n_characters = list[int](), 0

        def watched() -> Iterator[int]:
            for token in self._all_tokens():
                offsets.append(n_characters)  # text length before this token
                yield token

        for text in self._tokenizer.decode_stream(watched()):
            n_characters += len(text)
        return offsets[update.n_before : update.n_before + len(update.tokens)]

    def _all_tokens(self, start: int = 0) -> list[int]:
        """Return the tokens of the echo, the text and the stop token, starting at an index."""
        first = max(0, start - len(self._echo))
        tokens = [*self._echo[start:], *self._received[first : self.n_tokens]]
        if self.stop_token is not None and first <= self.n_tokens:
            tokens.append(self.stop_token)
        return tokens
