"""The topics of a character or a table, and the choice of the messages that the model reads."""

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

from pydantic import BaseModel

from microgpt import Message, Sampling, plain
from microgpt_characters.matching import FUNCTION, Asking, Match, Matcher

SEEN = "questions of the training"  # task name of the test questions that occur in training
PART = re.compile(r"[,.;:!?]+(?![0-9])")  # separates the parts of a message, but no decimals


class Question(NamedTuple):
    """A question to test a model with, and the correct replies."""

    task: str
    messages: Sequence[str]  # alternately by the user and by the model; the question is last
    replies: Sequence[str]  # all correct replies to the question


class Knowledge(BaseModel, frozen=True, strict=True):
    """The wordings and replies of a model's topics, and its replies if a message matches none."""

    askings: Sequence[Asking]
    replies: Sequence[str]  # by topic; of a table, the first words; empty for off-topic questions
    follows: Sequence[int | None]  # by topic: the topic that must precede it, or None
    needs: Sequence[Sequence[int]]  # by topic: topics whose latest exchange is also in the prompt
    unknown: Sequence[str]  # replies to messages that match no wording
    threshold: float  # minimum similarity of a match; with 0, messages are not matched
    is_table: bool  # whether the model has memorised a table
    tests: Sequence[Question]
    greeting: str = ""
    name: str = ""  # the page shows the character's name

    @property
    def sampling(self) -> Sampling | None:
        """Greedy sampling for a table, whose answers are memorised; None for a character."""
        return Sampling(temperature=0) if self.is_table else None

    @cached_property
    def matcher(self) -> Matcher:
        """The matcher that finds the wordings similar to a message."""
        return Matcher(self.askings, self.replies, FUNCTION[self.is_table])

    def choose(self, messages: Sequence[Message]) -> Sequence[Message] | str | None:
        """Return the messages for the model to read, or a reply if the last one matches no topic.

        The model reads the exchanges that the topic needs, then the topic's first wording, with its
        slots filled; if `threshold` is 0, all messages. Return None unless the last is the user's.
        """
        if not messages or messages[-1].role != "user":
            return None
        if not self.threshold:
            return [Message(m.role, plain(m.content)) if m.role == "user" else m for m in messages]
        asked = [i for i, message in enumerate(messages) if message.role == "user"]
        topic: int | None = None
        latest: dict[int | None, list[Message]] = {}  # last exchange of each topic, oldest first
        for i, end in pairwise([*asked, len(messages)]):
            match = self._meant(messages[i].content, topic)
            topic = match.asking.topic if match else None
            if match:
                latest.pop(topic, None)
                latest[topic] = [Message("user", match.read), *messages[i + 1 : end]]
        if topic is None:
            return self.unknown[len(messages[-1].content) % len(self.unknown)]
        needed = {topic, self.follows[topic], *self.needs[topic]}
        return tuple(chain(*(latest[each] for each in latest if each in needed)))

    def _meant(self, text: str, before: int | None) -> Match | None:
        """Return the best match of a message or its parts, or None; `before` is the previous topic.

        A part, such as "I'm Ada" in "Hi, I'm Ada", can match only wordings that have slots.
        """
        found = [Match(a, 2.0, text) for a in self.askings if self.is_table and a.text == text]
        for part in dict.fromkeys(() if found else (text, *PART.split(text))):
            found += (m for m in self.matcher.rank(part) if part == text or "{" in m.asking.reads)
        known = (match for match in found if self.follows[match.asking.topic] in (None, before))
        best = max(known, key=lambda match: match.similarity, default=None)
        is_known = best and best.similarity >= self.threshold and self.replies[best.asking.topic]
        return best if is_known else None
