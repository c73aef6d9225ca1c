"""What a model of a character or a table knows, and what it therefore reads."""

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

from pydantic import BaseModel

from microgpt import Message, Sampling, plain
from microgpt_characters.matching import FUNCTION, Asking, Match, Matcher

SEEN = "questions of the training"  # a task
PART = re.compile(r"[,.;:!?]+")  # between parts of a message


class Question(NamedTuple):
    """A question that tests a model."""

    task: str
    messages: Sequence[str]  # of both, beginning with the user
    replies: Sequence[str]  # that are right


class Knowledge(BaseModel, frozen=True, strict=True):
    """The askings that a model knows, and what it says to other messages."""

    askings: Sequence[Asking]
    replies: Sequence[str]  # of each topic; empty: its askings are foreign questions
    follows: Sequence[int | None]  # of each topic: the one whose reply it follows
    needs: Sequence[Sequence[int]]  # of each topic: those that the model reads before it
    unknown: Sequence[str]  # replies to other messages
    threshold: float  # least similarity of a message that is known; 0: the model decides
    is_table: bool  # whether the answers are learned by heart
    tests: Sequence[Question]
    greeting: str = ""

    @property
    def sampling(self) -> Sampling | None:
        """The answers of a table are learned by heart."""
        return Sampling(temperature=0) if self.is_table else None

    @cached_property
    def matcher(self) -> Matcher:
        """What finds the asking that a message means."""
        return Matcher(self.askings, self.replies, FUNCTION[self.is_table])

    def choose(self, messages: Sequence[Message]) -> Sequence[Message] | str | None:
        """Return what the model reads, or else the reply to a message that is not known.

        The model reads the first asking of the topic that is meant, with the words of the message
        in its slots; and before it, only the exchanges that the topic needs.
        """
        if not messages or messages[-1].role != "user":
            return None
        if not self.threshold:
            return [Message(m.role, plain(m.content)) if m.role == "user" else m for m in messages]
        asked = [i for i, message in enumerate(messages) if message.role == "user"]
        topic: int | None = None
        latest: dict[int | None, list[Message]] = {}  # exchange of a topic, in their order
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
        """Return what a message, or a part of it, means; `before` is the topic before.

        Of a part, such as "I'm Ada" of "Hi, I'm Ada", only askings with slots count.
        """
        found = [Match(a, 2.0, text) for a in self.askings if self.is_table and a.text == text]
        for part in dict.fromkeys((text, *PART.split(text))):
            found += (m for m in self.matcher.rank(part) if part == text or "{" in m.asking.reads)
        known = (match for match in found if self.follows[match.asking.topic] in (None, before))
        best = max(known, key=lambda match: match.similarity, default=None)
        is_known = best and best.similarity >= self.threshold and self.replies[best.asking.topic]
        return best if is_known else None
