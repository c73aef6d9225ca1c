"""A conversation with a chat model: what was said, and how the next reply is drawn."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from microgpt.config import Sampling
from microgpt.data.tokenizer import Message

if TYPE_CHECKING:
    from microgpt.data.tokenizer import Tokenizer
    from microgpt.inference import InferenceGpt
    from microgpt.sampling import TokenStream


class ChatTurn:
    """A message and, piece by piece, the reply to it: `answer` is as much of it as has come."""

    def __init__(self, question: Message, stream: "TokenStream", tokenizer: "Tokenizer"):
        self.question = question
        self.answer = ""
        self._stream = stream
        self._tokenizer = tokenizer

    def __iter__(self) -> Iterator[str]:
        for piece in self._tokenizer.decode_stream(self._stream):
            self.answer += piece
            yield piece

    @property
    def was_cut(self) -> bool:
        """Whether the reply ended because the context was full."""
        return self._stream.finish_reason == "length"


class ChatSession:
    """A conversation with a chat model, and its settings."""

    def __init__(
        self, model: "InferenceGpt", sampling: Sampling, seed: int, tell: Callable[[str], None]
    ) -> None:
        """Begin; `tell` gets a line about what the model cannot read, or no longer sees."""
        self.messages: list[Message] = []  # the last one is a reply, or there are none
        self.sampling = sampling
        self.seed = seed  # of the first reply; the next has seed + 1
        self.tell = tell
        self.own_files: set[str] = set()  # real paths that were read or written; may be replaced
        self._model = model
        self._has_forgotten = False

    def begin(self, messages: Iterable[Message] = ()) -> None:
        """Go on from other messages; what was said before, and where it is kept, is forgotten."""
        self.messages = [*messages]
        self.own_files.clear()
        self._has_forgotten = False

    def ask(self, text: str) -> ChatTurn:
        """Return the reply, which is computed when it is read; raise PromptError without room."""
        question = Message("user", _readable(text))
        prompt = self._model.chat_prompt([*self.messages, question])
        self.tell_unknown([question])
        if prompt.tokens_dropped and not self._has_forgotten:  # each turn would be a nuisance
            self.tell(
                f"the first {prompt.tokens_dropped} tokens of the conversation no longer fit; from "
                "now on what is oldest is forgotten"
            )
        self._has_forgotten = prompt.tokens_dropped > 0
        stream = self._model.reply(prompt, sampling=self.sampling, seed=self.seed)
        return ChatTurn(question, stream, self._model.tokenizer)

    def keep(self, turn: ChatTurn) -> None:
        """Remember a message and as much of the reply as has come, unless that is nothing."""
        if turn.answer.strip():
            self.messages += [turn.question, Message("assistant", turn.answer)]

    def tell_unknown(self, messages: list[Message]) -> None:
        """Tell which characters of messages the model will not see, if any."""
        text = "".join(message.content for message in messages)
        unknown = self._model.tokenizer.unknown_characters(text)
        if unknown:
            self.tell(f"the model cannot read {', '.join(map(repr, unknown))}; left out")


def _readable(text: str) -> str:
    """Return a text with a replacement character for each byte that was not UTF-8."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)  # lone surrogates, which no file can hold
