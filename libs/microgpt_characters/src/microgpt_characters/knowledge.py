"""The questions that a model of a character or a table can answer, and what it reads for each."""

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

from pydantic import BaseModel

from microgpt import Message, Sampling, plain
from microgpt_characters.matching import FUNCTION, Asking, Match, Matcher

SEEN = "questions of the training"  # the name of a task
PART = re.compile(r"[,.;:!?]+")  # separates the parts of a message


class Question(NamedTuple):
    """A question that tests a model."""

    task: str
    messages: Sequence[str]  # alternately of the user and of the model
    replies: Sequence[str]  # all right replies to the last message


class Knowledge(BaseModel, frozen=True, strict=True):
    """The askings that a model knows, and its replies to messages that match none of them."""

    askings: Sequence[Asking]
    replies: Sequence[str]  # by topic; empty if the topic's askings are foreign questions
    follows: Sequence[int | None]  # by topic: the topic that must precede it, or None
    needs: Sequence[Sequence[int]]  # by topic: topics that the model reads before it
    unknown: Sequence[str]  # replies to messages that match no asking
    threshold: float  # minimum similarity of a match; with 0, the model reads all messages
    is_table: bool  # whether the answers are learned by heart
    tests: Sequence[Question]
    greeting: str = ""

    @property
    def sampling(self) -> Sampling | None:
        """Greedy sampling for a table, whose answers are learned by heart; else None."""
        return Sampling(temperature=0) if self.is_table else None

    @cached_property
    def matcher(self) -> Matcher:
        """The matcher that finds the asking that a message means."""
        return Matcher(self.askings, self.replies, FUNCTION[self.is_table])

    def choose(self, messages: Sequence[Message]) -> Sequence[Message] | str | None:
        """Return the messages that the model reads, or the reply to a message without a match.

        The model reads the first asking of the topic that is meant, with words of the message in
        its slots; and before it, only the exchanges that the topic needs.
        """
        if not messages or messages[-1].role != "user":
            return None
        if not self.threshold:
            return [Message(m.role, plain(m.content)) if m.role == "user" else m for m in messages]
        asked = [i for i, message in enumerate(messages) if message.role == "user"]
        topic: int | None = None
        latest: dict[int | None, list[Message]] = {}  # last exchange of each topic, in order
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
        """Return the best match of a message or of a part of it; `before` is the previous topic.

        A part, such as "I'm Ada" in "Hi, I'm Ada", can match only askings that have slots.
        """
        found = [Match(a, 2.0, text) for a in self.askings if self.is_table and a.text == text]
        for part in dict.fromkeys((text, *PART.split(text))):
            found += (m for m in self.matcher.rank(part) if part == text or "{" in m.asking.reads)
        known = (match for match in found if self.follows[match.asking.topic] in (None, before))
        best = max(known, key=lambda match: match.similarity, default=None)
        is_known = best and best.similarity >= self.threshold and self.replies[best.asking.topic]
        return best if is_known else None
