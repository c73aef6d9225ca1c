"""The questions that a chat model has memorised, and its reply to other questions."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from microgpt import (
    ROLES,
    CheckpointError,
    ConfigError,
    Conversation,
    Message,
    Sampling,
    first_problem,
)

if TYPE_CHECKING:  # the options of `train` need none of it
    from microgpt_characters.questions.matching import Match, Matcher

DEFAULT_REPLY = "I don't know."
CONFIDENCE = 0.56  # minimum similarity of a question that is answered (docs/questions.md)
MAX_CHARACTERS = 100_000  # of questions and answers, so that one is found in milliseconds
# Maximum number of known questions to suggest, and their minimum similarity.
N_SUGGESTED, LEAST_SIMILAR = 3, 0.2


def check_reply(reply: str) -> None:
    """Raise ConfigError if a reply to unknown questions is blank."""
    if not reply.strip():
        raise ConfigError("--unknown must not be blank; write a reply to unknown questions")


@dataclass(frozen=True)
class KnownQuestions:
    """The conversations that a model knows, each up to one of its replies."""

    conversations: tuple[Conversation, ...]
    reply: str = DEFAULT_REPLY  # to other questions
    confidence: float = CONFIDENCE
    suggests: bool = False  # whether this reply has the known questions that are most similar
    sampling: ClassVar[Sampling] = Sampling(temperature=0)  # known answers are learned by heart

    def __post_init__(self) -> None:
        talks = self.conversations
        n_characters = sum(len(message.content) for talk in talks for message in talk[-2:])
        if not talks or n_characters > MAX_CHARACTERS:
            raise ValueError(f"conversations: must have 1 to {MAX_CHARACTERS:,} characters")
        roles = {tuple(message.role for message in talk) for talk in talks}
        if any(not each or each != ROLES * (len(each) // 2) for each in roles):
            raise ValueError("conversations: each must consist of questions and answers")

    @classmethod
    def from_conversations(cls, docs: Sequence[Conversation], reply: str) -> "KnownQuestions":
        """Return the questions of conversations, which begin with a user message."""
        ends = ((doc, i) for doc in docs for i in range(2, len(doc) + 1, 2))
        return cls(tuple(dict.fromkeys(tuple(doc[:end]) for doc, end in ends)), reply)

    @classmethod
    def from_json(cls, extra: object) -> "KnownQuestions":
        """Return what `to_json` gave; raise CheckpointError if it has been damaged."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_json(json.dumps(extra), strict=True)
        except ValidationError as error:
            raise CheckpointError(f"extra.characters: {first_problem(error)}") from error

    def to_json(self) -> dict[str, object]:
        """Return the record in meta.json."""
        talks = [[asdict(message) for message in talk] for talk in self.conversations]
        names = "reply", "confidence", "suggests"
        return {"conversations": talks, **{name: getattr(self, name) for name in names}}

    def choose(self, messages: Sequence[Message]) -> Conversation | str | None:
        """Return the known conversation up to the matching question, or else the fixed reply.

        Return None if the last message is not a question.

        A follow-up question matches only directly after the answer that precedes it. A text that is
        equally similar to questions with different answers matches none of them.
        """
        if not messages or messages[-1].role != "user":
            return None
        said, text = messages[-2].content if len(messages) > 1 else None, messages[-1].content
        matches = [match for match in self._ranked(text) if self._fits(match, said)]
        talks = [self.conversations[match.number] for match in matches]
        n_best = sum(match.score == matches[0].score for match in matches)
        is_same = bool(talks) and talks[0][-2].content == text
        is_clear = is_same or len({talk[-1] for talk in talks[:n_best]}) == 1
        if is_clear and matches[0].similarity >= self.confidence:
            return talks[0][:-1]
        near = [match for match in matches if match.similarity >= LEAST_SIMILAR]
        similar = dict.fromkeys(self.conversations[match.number][-2].content for match in near)
        if not (self.suggests and similar):
            return self.reply
        return f"{self.reply} ({' '.join([*similar][:N_SUGGESTED])})"

    def _ranked(self, text: str) -> "list[Match]":
        """Return the matches of a text, starting with an identical question, if any."""
        from microgpt_characters.questions.matching import Match

        same = (i for i, talk in enumerate(self.conversations) if talk[-2].content == text)
        return [*(Match(i, 1.0, 1.0) for i in same), *self._matcher.rank(text)]

    def _fits(self, match: "Match", said: str | None) -> bool:
        before = self.conversations[match.number][:-2]
        return not before or before[-1].content == said

    @cached_property
    def _matcher(self) -> "Matcher":
        from microgpt_characters.questions.matching import Matcher

        return Matcher([(talk[-2].content, talk[-1].content) for talk in self.conversations])
