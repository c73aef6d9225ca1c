"""A conversation with a chat model."""

import re
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from microgpt import Message, Sampling

if TYPE_CHECKING:
    from microgpt import InferenceGpt, TokenStream


class ChatSession:
    """A conversation with a chat model, and the sampling settings."""

    def __init__(
        self, model: "InferenceGpt", sampling: Sampling, seed: int, tell: Callable[[str], None]
    ) -> None:
        """Start a conversation; `tell` is called with notes for the user."""
        self.messages: list[Message] = []  # messages so far; empty, or ending with a reply
        self.was_cut = False  # whether the context was full before the end of the last reply
        self._model, self._sampling, self._tell = model, sampling, tell
        self._seed = seed
        self._has_dropped = False
        self._noted = ""  # unknown characters reported so far

    def restart(self) -> None:
        """Forget the conversation."""
        self.messages = []
        self._has_dropped = False

    def ask(self, text: str) -> Generator[str, None, None]:
        """Return the pieces of the reply to a message; raise PromptError if it is too long.

        The message and the reply, which is partial if the generator is closed, are then added.
        """
        self.was_cut = False
        # Lone surrogates represent undecodable bytes.
        question = Message("user", re.sub("[\ud800-\udfff]", "\ufffd", text))
        prompt = self._model.chat_prompt([*self.messages, question])
        self._note_unknown(question.content)
        if prompt.tokens_dropped and not self._has_dropped:  # report dropped tokens only once
            self._tell(
                "the conversation no longer fits into the context of "
                f"{self._model.config.block_size} tokens; the model no longer sees the oldest "
                f"turns ({prompt.tokens_dropped} tokens so far)"
            )
        self._has_dropped = prompt.tokens_dropped > 0
        job = self._model.reply_job(prompt, sampling=self._sampling, seed=self._seed)
        return self._reply(question, self._model.stream(job))

    def _reply(self, question: Message, stream: "TokenStream") -> Generator[str, None, None]:
        answer = ""
        try:
            for piece in self._model.tokenizer.decode_stream(stream):
                answer += piece
                yield piece
            self.was_cut = stream.finish_reason == "length"
        finally:
            if answer.strip():
                self.messages += [question, Message("assistant", answer)]

    def _note_unknown(self, text: str) -> None:
        """Report unknown characters that have not been reported yet."""
        reading = self._model.tokenizer.reading(text)
        unknown = [chr(code) for code, other in reading.items() if other is None]
        if new := [char for char in unknown if char not in self._noted]:
            self._noted += "".join(new)
            self._tell(
                f"removed characters that are not in the vocabulary: {', '.join(map(repr, new))}"
            )
