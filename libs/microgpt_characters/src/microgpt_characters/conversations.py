"""Draw the conversations of a character from a seed, and the questions that test its model."""

import re
import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import NamedTuple

from microgpt import Conversation, Message, plain
from microgpt_characters.functions import FUNCTIONS
from microgpt_characters.grammar import Character, Follow, Topic, is_held_out, wordings
from microgpt_characters.matching import NUMBER, Asking, Matcher
from microgpt_characters.pattern import draw, names_in, parse, pick, pick_early

SEED = 42
THRESHOLD, NEAR = 0.45, 0.7  # least similarity of a known message; of one that is not foreign
TURNS, MOST_TURNS = (1, 1, 1, 1, 2, 2, 3, 4), 6  # numbers of exchanges; most of basic ones
MOST_TOKENS = 240  # of a conversation; leaves room in a context of 256
SHORT = 0.3  # share of questions in the first asking of their topic, which teaches most per token
FOREIGN, OWN = 0.14, 0.5  # share of foreign messages, and of those of the file among them
FOLLOWS, RECALLS, TELLS = 0.5, 0.5, 0.07  # shares of turns, where they are possible
TELLS_MORE = 0.3  # share of turns that tell something else after the first telling
TWO, SHORT_OF_TWO = 0.19, 0.65  # share of messages with two questions, and of short ones there
BASICS = 5  # one in so many conversations has only first askings, and comes first
SMALL = 9  # a pair of numbers up to this one is never left out: users expect 1 + 1 to be right
N_INDEXED = 64  # wordings of a topic that are matched, unless it has more askings
LEAST_WORDINGS = 10  # of a topic, so that one in ten can be left out
N_FOREIGN = 6  # wordings of a foreign question that are matched
N_TESTS, N_REPLIES = 3, 50  # questions of each topic in a test; draws of the replies that are right


_OWN_WORD, _FILLED = re.compile(r"(?<!\0)\b[a-z]{4,}\b(?!\0)"), re.compile(r"\0(\w+)\0")


class Exchange(NamedTuple):
    """A message and its reply."""

    message: str
    reply: str


class Question(NamedTuple):
    """A question that tests a model."""

    topic: str
    messages: tuple[str, ...]  # of both, beginning with the user
    replies: tuple[str, ...]  # that are right


class Drawing:
    """Draws the conversations of a character."""

    def __init__(self, character: Character, seed: int = SEED, *, is_test: bool = False) -> None:
        self._character, self._rng, self._is_test = character, Random(seed), is_test
        self._is_basic = self._is_waiting = False  # for a recall of what was told
        self._told: dict[str, str] = {}  # in this conversation
        self._last: Follow | None = None
        topics = character.topics
        self._telling = [topic for topic in topics if topic.remember]
        self._recalling = [topic for topic in topics if topic.needs]
        self.threshold = THRESHOLD if character.threshold is None else character.threshold
        varied = [t for t in topics if names_in(*t.ask) and not (t.remember or t.needs)]
        lots = (topics, topics if self.threshold else varied or topics)  # the second: basic ones
        self._lots = [(some, [*accumulate(topic.weight for topic in some)]) for some in lots]
        self.topics = [each for topic in topics for each in (topic, *topic.follow)]
        self._askings = {id(topic): self._divided(topic) for topic in self.topics}

    def lessons(self) -> list[Conversation]:
        """Return conversations in the order in which to learn them.

        The basic ones come first, and the others twice: to read them again costs less than more.
        """
        n = self._character.conversations
        basics = [self.conversation(is_basic=True) for _ in range(n // BASICS)]
        return basics + 2 * [self.conversation() for _ in range(n - len(basics))]

    def conversation(self, *, is_basic: bool = False) -> Conversation:
        """Return a conversation that fits into the context, if its first exchange does."""
        self._told, self._last, self._is_basic, self._is_waiting = {}, None, is_basic, False
        made, size = list[Message](), 2
        turns = pick(self._rng, range(1, MOST_TURNS + 1) if is_basic else TURNS)
        while len(made) < 2 * turns or self._is_waiting:
            message, reply = self._turn()
            size += len(message) + len(reply) + 4
            if made and size > MOST_TOKENS:
                break
            made += [Message("user", message), Message("assistant", reply)]
        return tuple(made)

    def questions(self) -> Iterator[Question]:
        """Yield some questions of each topic: in a test, those that the training leaves out."""
        for topic in self._character.topics:
            held_out = self._askings[id(topic)][1]
            asked = held_out if self._is_test and not names_in(*topic.ask) else topic.ask
            for _ in range(N_TESTS if asked else 0):
                self._told, messages = {}, list[str]()
                for other in self._telling if topic.needs else ():
                    messages += self._exchange(other)
                values = self._filled(pattern := pick(self._rng, asked))
                replies = {
                    self._reply(reply, values) for reply in topic.reply for _ in range(N_REPLIES)
                }
                messages.append(self._message(pattern, values))
                yield Question(topic.topic, tuple(messages), tuple(sorted(replies)))

    def _turn(self) -> Exchange:
        two = self._character.two
        if two and not self._is_basic and self._chance(TWO):
            parts = [self._part() for _ in range(2)]
            asked = {"first": parts[0].message, "second": parts[1].message}
            text = draw(self._rng, pick_early(self._rng, two), lambda w: asked[w[0]].rstrip("?.!"))
            replies = dict.fromkeys(_sentence(part.reply) for part in parts)
            return Exchange(self._framed(text), " ".join(replies))
        if not self.threshold and not self._is_basic and self._chance(FOREIGN):
            message, reply = self._foreign()
            return Exchange(self._framed(message), reply)
        topic = self._topic()
        message, reply = self._exchange(topic)
        return Exchange(self._framed(message) if self._is_noisy(topic) else message, reply)

    def _is_noisy(self, topic: Follow) -> bool:
        """Return whether the model reads messages as users write them, not only as askings."""
        return not self._is_basic and bool(not self.threshold or names_in(*topic.ask))

    def _topic(self) -> Follow:
        """Return the next topic, which depends on what was said."""
        if isinstance(self._last, Topic) and self._last.follow and self._chance(FOLLOWS):
            return pick(self._rng, self._last.follow)
        if self._is_waiting and self._chance(RECALLS):
            told = [topic for topic in self._recalling if topic.needs <= self._told.keys()]
            return pick(self._rng, [*self._recalling, *told, *told])
        telling = [topic for topic in self._telling if topic.remember not in self._told]
        if telling and not self._is_basic and self._chance(TELLS_MORE if self._told else TELLS):
            return pick(self._rng, telling)
        topics, totals = self._lots[self._is_basic]
        place = self._rng.random() * totals[-1]
        return topics[next(i for i, total in enumerate(totals) if place < total)]

    def _part(self) -> Exchange:
        """Return one of two questions; a word or two could as well be noise before the other."""
        if not self.threshold and self._chance(FOREIGN):
            while len((part := self._foreign()).message.split()) < 3:
                pass
            return part
        while (topic := self._topic()).alone or topic.needs:
            pass
        return self._exchange(topic, SHORT_OF_TWO)

    def _exchange(self, topic: Follow, short: float = SHORT) -> Exchange:
        is_noisy, pattern = self._is_noisy(topic), topic.ask[0]
        if is_noisy and not self._chance(short):
            pattern = pick_early(self._rng, topic.ask)
        elif not self._is_basic and not is_noisy:
            pattern = pick(self._rng, self._askings[id(topic)][0])
        values = self._filled(pattern)
        replies = topic.reply if topic.needs <= self._told.keys() else topic.untold
        reply = self._reply(pick(self._rng, replies or self._character.unknown), values)
        if topic.remember:
            self._told[topic.remember] = values[topic.remember]
        if topic.remember or topic.needs:
            self._is_waiting = bool(topic.remember and self._recalling)
        self._last = topic
        typing = self._character.typing if is_noisy else 0.0
        return Exchange(self._message(pattern, values, typing=typing), reply)

    def _filled(self, pattern: str) -> dict[str, str]:
        """Return values for the slots of an asking, and those that were told.

        A pair of numbers is left out of the training as a whole, because each occurs in others.
        """
        kinds = self._character.slots
        names = names_in(pattern) & kinds.keys()
        ends = {end for name in names for end in kinds[name].ends}
        while True:
            values = dict(self._told)
            for name in (*sorted(ends), *sorted(names - ends)):
                values[name] = kinds[name].draw(self._rng, values, is_test=self._is_test)
            numbers = sorted(int(values[name]) for name in names if kinds[name].are_numbers)
            is_free = len(numbers) < 2 or numbers[-1] <= SMALL
            if is_free or is_held_out(" ".join(map(str, numbers))) == self._is_test:
                return values

    def _message(self, pattern: str, values: Mapping[str, str], *, typing: float = 0.0) -> str:
        """Return a message; `typing` is the probability of an error in one of its own words."""
        text = draw(self._rng, pattern, lambda words: f"\0{words[0]}\0")
        if self._chance(typing) and (words := [*_OWN_WORD.finditer(text)]):
            word = pick(self._rng, words)
            text = text[: word.start()] + self._mistyped(word[0]) + text[word.end() :]
        return plain(_FILLED.sub(lambda found: values[found[1]], text))

    def _mistyped(self, word: str) -> str:
        """Return a word with a letter that is missing, doubled, wrong or in the wrong place."""
        i = pick(self._rng, range(len(word) - 1))
        a, b = word[i], word[i + 1]
        wrong = (a, b, b + a, a + a + b, a + pick(self._rng, string.ascii_lowercase))
        return word[:i] + pick(self._rng, wrong) + word[i + 2 :]

    def _reply(self, pattern: str, values: Mapping[str, str]) -> str:
        """Return a reply, with values and what functions make of them."""
        return draw(self._rng, pattern, lambda words: self._computed(words, values))

    def _computed(self, words: Sequence[str], values: Mapping[str, str]) -> str:
        if len(words) == 1:
            return values[words[0]]
        function, found = FUNCTIONS[words[0]], [values[name] for name in words[1:]]
        if function.kind == "table":
            return (self._character.slots[words[1]].table or {})[found[0]]
        return str(function.apply(*(map(int, found) if function.kind == "numbers" else found)))

    def _foreign(self) -> Exchange:
        """Return a message that the character does not understand, and a reply."""
        self._last = None
        own = self._character.foreign
        is_own = bool(own) and self._chance(OWN)
        pattern = pick(self._rng, own if is_own else general_questions())
        values = self._filled(pattern) if is_own else {}
        message = self._message(pattern, values, typing=self._character.typing)
        return Exchange(message, pick(self._rng, self._character.unknown))

    def _framed(self, text: str) -> str:
        """Return a message with what may be around it."""
        if text[-1:] in ".?!":
            return text
        values = {**self._filled(self._character.message), "message": text}
        return self._message(self._character.message, values)

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share

    def matcher(self) -> Matcher:
        """Return what finds the topic of a message, by the askings of the training.

        The last topic is that of foreign questions, unless they resemble an asking.
        """
        if not self.threshold:
            return Matcher((), ())
        found: dict[Asking, None] = {}
        for i, (askings, _) in enumerate(self._askings.values()):
            for text in askings:
                names = names_in(text)
                numbers = {name for name in names if self._character.slots[name].are_numbers}
                shown = draw(Random(SEED), text, partial(_shown, numbers))
                found[Asking(plain(shown), i, len(names) - len(numbers))] = None
        replies = tuple(draw(Random(SEED), " ".join(t.reply), lambda _: "") for t in self.topics)
        known = Matcher((*found,), replies)
        for pattern in (*self._character.foreign, *general_questions()):
            for _ in range(N_FOREIGN):
                text = self._message(pattern, self._filled(pattern))
                ranked = known.rank(text)
                if not ranked or ranked[0].similarity < NEAR:
                    found[Asking(text, len(replies))] = None
        return Matcher((*found,), (*replies, ""))

    def _divided(self, topic: Follow) -> tuple[Sequence[str], Sequence[str]]:
        """Return wordings of a topic, and others that are left out of the training.

        None are left out of a topic with few wordings, or with slots, whose words are left out.
        """
        texts = wordings(topic.ask, max(1, N_INDEXED // len(topic.ask)))
        first = wordings(topic.ask[:1], N_INDEXED)
        held_out = [text for text in texts if text not in first and is_held_out(text)]
        if not self.threshold or names_in(*topic.ask) or len(texts) < LEAST_WORDINGS:
            return texts, ()
        return [text for text in texts if text not in held_out], held_out

    def order(self) -> tuple[tuple[int | None, ...], tuple[tuple[int, ...], ...]]:
        """Return, by topic, the one whose reply it follows, and those that the model must read."""
        follows: list[int | None] = []
        for i, topic in enumerate(self.topics):
            follows += [None, *[i] * len(topic.follow)] if isinstance(topic, Topic) else []
        needs = (
            (() if before is None else (before,))
            + tuple(i for i, other in enumerate(self.topics) if other.remember in topic.needs)
            for topic, before in zip(self.topics, follows, strict=True)
        )
        return (*follows, None), (*needs, ())


def _shown(numbers: set[str], words: Sequence[str]) -> str:
    return NUMBER if words[0] in numbers else ""


@cache
def general_questions() -> Sequence[str]:
    """Return the questions of foreign.toml, which no character needs to answer."""
    facts = tomllib.loads(Path(__file__).with_name("foreign.toml").read_text(encoding="utf-8"))
    return [parse(line, facts["macros"]) for line in facts["foreign"].strip().splitlines()]


def _sentence(text: str) -> str:
    return text if text[-1] in ".!?" else f"{text}."
