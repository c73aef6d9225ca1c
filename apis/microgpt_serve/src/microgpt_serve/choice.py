"""A choice in a response, streamed or not: text that grows during generation."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from microgpt import Continuation, FinishReason, Tokenizer

REPLACEMENT_CHARACTER = "\N{REPLACEMENT CHARACTER}"  # result of decoding an incomplete character


class GeneratedChoice:
    """Text that grows during generation, with its number of tokens and its finish reason."""

    def __init__(self, index: int, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        """Create an empty choice. The text is cut at stop strings."""
        self.index = index
        self.text = ""  # generated text that can no longer change
        self.n_tokens = 0  # number of its tokens
        self.n_sent = 0  # number of its characters that `new_text` has returned
        self.is_sent = False  # whether a stream has sent its end
        self.finish_reason: FinishReason | None = None
        self._tokenizer, self._stop = tokenizer, tuple(stop)
        self._received = array("I")  # all generated tokens
        self._decoded = 0, 0  # tokens and characters up to a complete character of the text

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
        found = [(text.find(stop, n_stable), len(stop)) for stop in self._stop]
        cuts = [(place + size, place) for place, size in found if place >= 0]
        self.text = text[: min(cuts)[1]] if cuts else text  # before the one that ends first
        if len(self.text) < len(text):
            self.finish_reason = "stop"
        elif continuation.finish_reason:
            self.finish_reason = continuation.finish_reason
        else:
            self.text = stable_prefix(text, self._stop, n_stable)
        self.n_tokens = len(tokens)
        if len(self.text) < len(decoded):  # omit the tokens after the stop string
            ends, size = range(start, len(tokens) + 1), len(self.text) - n_characters
            n_kept = bisect_right(ends, size, key=lambda end: len(decode(tokens[start:end])))
            self.n_tokens = start + n_kept - 1
            decoded = self.text[:n_characters] + decode(tokens[start : self.n_tokens])
        if not decoded.endswith(REPLACEMENT_CHARACTER):
            self._decoded = self.n_tokens, len(decoded)

    def new_text(self) -> str:
        """Return the text that was added since the last call."""
        text, self.n_sent = self.text[self.n_sent :], len(self.text)
        return text


def stable_prefix(text: str, stop: tuple[str, ...], n_stable: int = 0) -> str:
    """Return the prefix of an unfinished text that later tokens cannot change.

    The rest may be an incomplete character or the start of a stop string.
    """
    text = text.rstrip(REPLACEMENT_CHARACTER)
    longest = max(map(len, stop), default=1)
    for start in range(max(n_stable, len(text) - longest + 1), len(text)):
        if any(string.startswith(text[start:]) for string in stop):
            return text[:start]
    return text
