"""A conversation with a chat model: messages and sampling settings."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from microgpt.config import Sampling
from microgpt.data.tokenizer import Message
from microgpt.errors import ConfigError

if TYPE_CHECKING:
    from microgpt.data.tokenizer import Tokenizer
    from microgpt.evaluation.explanation import Explanation
    from microgpt.inference import InferenceGpt
    from microgpt.sampling import TokenStream


class ChatTurn:
    """A message and its reply. Iterating generates the reply and collects it in `answer`."""

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
        """Whether the reply was truncated because the context was full."""
        return self._stream.finish_reason == "length"


class ChatSession:
    """A conversation with a chat model, and the sampling settings."""

    def __init__(
        self, model: "InferenceGpt", sampling: Sampling, seed: int, tell: Callable[[str], None]
    ) -> None:
        """Start a conversation; `tell` is called with notes for the user."""
        self.messages: list[Message] = []  # messages so far; empty, or ending with a reply
        self.sampling = sampling
        self.seed = seed  # seed of the first reply; reply i uses seed + i
        self.tell = tell
        self.own_files: set[str] = set()  # real paths that /save may overwrite
        self._model = model
        self._has_dropped = False
        self._noted = ""  # unknown characters reported so far

    def restart(self, messages: Iterable[Message] = ()) -> None:
        """Replace the conversation with other messages, and clear `own_files`."""
        self.messages = [*messages]
        self.own_files.clear()
        self._has_dropped = False

    def ask(self, text: str) -> ChatTurn:
        """Return the turn for a message; raise PromptError if the message is too long."""
        # Lone surrogates represent undecodable bytes.
        question = Message("user", re.sub("[\ud800-\udfff]", "\ufffd", text))
        prompt = self._model.chat_prompt([*self.messages, question])
        self.note_unknown([question])
        if prompt.tokens_dropped and not self._has_dropped:  # report dropped tokens only once
            self.tell(
                "the conversation no longer fits into the context of "
                f"{self._model.config.block_size} tokens; the model no longer sees the oldest "
                f"turns ({prompt.tokens_dropped} tokens so far)"
            )
        self._has_dropped = prompt.tokens_dropped > 0
        stream = self._model.reply(prompt, sampling=self.sampling, seed=self.seed)
        return ChatTurn(question, stream, self._model.tokenizer)

    def add(self, turn: ChatTurn) -> None:
        """Append the message and the (possibly partial) reply; ignore a turn without a reply."""
        if turn.answer.strip():
            self.messages += [turn.question, Message("assistant", turn.answer)]

    def explain(self) -> "Explanation":
        """Explain the predictions of the last reply, given what the model read before it."""
        from microgpt.evaluation.explanation import explain_tokens
        from microgpt.steps import finish

        if not self.messages:
            raise ConfigError("there is no reply to explain yet; send a message first")
        *before, reply = self.messages
        prompt, tokenizer = self._model.chat_prompt(before).tokens, self._model.tokenizer
        tokens = [*prompt, *tokenizer.encode(reply.content), tokenizer.end_turn_id]
        explanation, first = finish(explain_tokens(self._model, tokens)), len(prompt) - 1
        return replace(
            explanation, predictions=explanation.predictions[first:], read=explanation.read[first:]
        )

    def note_unknown(self, messages: list[Message]) -> None:
        """Report unknown characters that have not been reported yet."""
        text = "".join(message.content for message in messages)
        unknown = self._model.tokenizer.left_out(text)
        if new := [char for char in unknown if char not in self._noted]:
            self._noted += "".join(new)
            self.tell(
                f"removed characters that are not in the vocabulary: {', '.join(map(repr, new))}"
            )
