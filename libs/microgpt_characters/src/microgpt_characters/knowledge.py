"""What a model of a character or a table knows, and what it therefore reads."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

from pydantic import BaseModel

from microgpt import Conversation, Message, Sampling, plain
from microgpt_characters.matching import NUMBER, Asking, Matcher

SEEN = "questions of the training"  # a task


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
    is_table: bool  # whether a message must clearly mean one topic
    tests: Sequence[Question]
    greeting: str = ""

    @property
    def sampling(self) -> Sampling | None:
        """The answers of a table are learned by heart."""
        return Sampling(temperature=0) if self.is_table else None

    @cached_property
    def matcher(self) -> Matcher:
        """What finds the asking that a message means."""
        return Matcher(self.askings, self.replies)

    def choose(self, messages: Sequence[Message]) -> Conversation | str | None:
        """Return what the model reads, or else the reply to a message that is not known.

        The model reads the asking that is meant, or the message if it fills a slot; and before it,
        only the exchanges that its topic needs.
        """
        if not messages or messages[-1].role != "user":
            return None
        asked = [i for i, message in enumerate(messages) if message.role == "user"]
        folded = {i: Message("user", plain(messages[i].content)) for i in asked}
        if not self.threshold:
            return tuple(folded.get(i, message) for i, message in enumerate(messages))
        topic: int | None = None
        latest: dict[int | None, list[Message]] = {}  # exchange of a topic, in their order
        for i, end in pairwise([*asked, len(messages)]):
            asking, message = self._meant(messages[i].content, topic), folded[i]
            topic = asking.topic if asking else None
            if asking and not asking.n_open and NUMBER not in asking.text.split():
                message = Message("user", asking.text)
            latest.pop(topic, None)
            latest[topic] = [message, *messages[i + 1 : end]]
        if topic is None:
            return self.unknown[sum(map(ord, messages[-1].content)) % len(self.unknown)]
        read = {topic, self.follows[topic], *self.needs[topic]} - {None}
        return tuple(chain(*(latest[each] for each in latest if each in read)))

    def _meant(self, text: str, before: int | None) -> Asking | None:
        """Return the asking that a message means, if it is known; `before` is the topic before."""
        same = [(each, 1.0) for each in self.askings if self.is_table and each.text == text]
        ranked = [
            (asking, similarity)
            for asking, similarity in same or self.matcher.rank(text)
            if similarity >= self.threshold and self.follows[asking.topic] in (None, before)
        ]
        best = [asking for asking, similarity in ranked if similarity == ranked[0][1]]
        is_clear = not self.is_table or len({asking.topic for asking in best}) == 1
        return best[0] if best and is_clear and self.replies[best[0].topic] else None
