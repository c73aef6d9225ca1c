"""Draw the conversations that train the model of a character, and the questions that test it.

A *topic* has *wordings* (ways to ask about it) and *replies*, both drawn from *patterns*. A *slot*,
such as {name}, is filled with a *value*. A value is *given* if an earlier *message* of the user
contained it. An *off-topic question* is about none of the topics.
"""

import re
import string
import tomllib
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, chain
from pathlib import Path
from random import Random

from microgpt import Conversation, Message, plain
from microgpt_characters.character_file import N_COMPARED, Character, Topic, wordings
from microgpt_characters.knowledge import SEEN, Question
from microgpt_characters.matching import FUNCTION, NUMBER, Asking, Matcher, words_of
from microgpt_characters.pattern import EARLY, draw, fill, names_in, parse, pick, slots_in
from microgpt_characters.slots import computed, is_held_out

SEED = 42
NEAR = 0.7  # texts at least this similar to a topic's wording are not used as off-topic questions
TURNS, MOST_TURNS = (1, 1, 1, 1, 2, 2, 3, 4), 6  # exchanges per conversation; maximum in basic ones
MOST_TOKENS = 240  # maximum length of a conversation, to fit into a context of 256 tokens
SHORT = 0.3  # probability of a topic's first wording, which should be its shortest
FOREIGN, OWN = 0.13, 0.6  # fraction of off-topic questions; fraction of them from a character file
FOLLOWS, RECALLS, TELLS = 0.5, 0.45, 0.085  # probabilities to follow up, recall a value, give one
VARIED = 0.5  # if `threshold` is not 0: probability that a topic is drawn from those with slots
TELLS_MORE = 0.3  # probability that a user who has given one value gives another
TWO, SHORT_OF_TWO = 0.19, 0.65  # probability of two questions in a message; SHORT in such messages
TYPING = 0.04  # probability of a typing error in a message
BASICS = 5  # one in five conversations is basic: it has only first wordings, and is read first
SMALL = 9  # numbers up to 9 are never held out, because users expect 1 + 1 to be right
MOST_DRAWS = 100  # draws to find numbers that are not held out; a file can have only such numbers
N_INDEXED = 64  # approximate minimum number of wordings to draw from the patterns of a topic
LEAST_WORDINGS = 10  # topics with fewer wordings have none held out for tests
N_FOREIGN = 6  # texts to draw per pattern of off-topic questions, to compare messages with
MOST = "999999999"  # end of a range if the slot at which it ends is not in the wording
N_TESTS, N_REPLIES = 3, 50  # tests per topic with trained wordings; draws to find all replies

_OWN_WORD = re.compile(r"\b[a-z]{4,}\b(?![\w ]*\})")  # a word outside slots, of 4 letters or more


class Drawing:
    """Draws random conversations between users and a character."""

    def __init__(self, character: Character) -> None:
        self._character, self._rng = character, Random(SEED)
        self._is_basic = self._is_waiting = False  # waiting: a value given by the user is unused
        self._is_noisy = not character.threshold  # whether to draw all wordings and typing errors
        self._told: dict[str, str] = {}  # values given in this conversation, by slot
        self._last: Topic | None = None
        self._slots = character.slots
        if not character.threshold:  # the model is also tested with words and numbers held out
            self._slots = {name: each.trained() for name, each in character.slots.items()}
        self._topics = [*character.topics.values()]
        self._telling = [topic for topic in self._topics if topic.remember]
        self._recalling = [topic for topic in self._topics if topic.needs]
        varied = [topic for topic in self._topics if names_in(*topic.ask)]
        if not character.threshold:
            varied = [topic for topic in varied if not (topic.remember or topic.needs)]
        self._varied = varied or self._topics  # topics with slots need the most examples
        self._wordings = {id(topic): self._divided(topic) for topic in character.all_topics}
        # By topic and set of slots: the first wording, which the model reads instead of the others.
        self._first = {
            of: {frozenset(slots_in(text)): text for text in reversed(texts)}
            for of, (texts, _) in self._wordings.items()
        }

    def lessons(self) -> list[Conversation]:
        """Return the training conversations: basic ones first, and then all others twice."""
        n = self._character.conversations
        basics = [self.conversation(is_basic=True) for _ in range(n // BASICS)]
        return basics + 2 * [self.conversation() for _ in range(n - len(basics))]

    def conversation(self, *, is_basic: bool = False) -> Conversation:
        """Return a random conversation that fits into the context if its first exchange does."""
        self._told, self._last, self._is_basic, self._is_waiting = {}, None, is_basic, False
        self._is_noisy = not (is_basic or self._character.threshold)
        made, size = list[Message](), 2
        turns = pick(self._rng, range(1, MOST_TURNS + 1) if is_basic else TURNS)
        while len(made) < 2 * turns or self._is_waiting:
            message, reply = self._turn()
            size += len(message) + len(reply) + 4
            if made and size > MOST_TOKENS:
                break
            made += [Message("user", message), Message("assistant", reply)]
        return tuple(made)

    def questions(self, topics: Mapping[str, Topic] = {}, *before: Topic) -> Iterator[Question]:
        """Yield test questions for each topic: some from training, and all held-out wordings."""
        for name, topic in (topics or self._character.topics).items():
            asked, held_out = self._wordings[id(topic)]
            texts = [(SEEN, pick(self._rng, asked)) for _ in range(N_TESTS)]
            for task, text in [*texts, *((f"{name}, held out", text) for text in held_out)]:
                self._told = {}
                telling = self._telling if topic.needs else ()
                told = [self._exchange(other) for other in (*telling, *before)]
                values = self._filled(text)
                replies = [reply for reply in topic.reply for _ in range(N_REPLIES)]
                said = {self._with(values, draw(self._rng, reply)) for reply in replies}
                yield Question(task, [*chain(*told), self._message(text, values)], sorted(said))
            for each in topic.follow:
                yield from self.questions({name: each}, *before, topic)

    def _turn(self) -> tuple[str, str]:
        """Return a random message, of two questions only if no recall is due, and the reply."""
        if not self._is_noisy:
            return self._exchange(self._topic())
        if self._character.two and not self._is_waiting and self._chance(TWO):
            return self._two()
        message, reply = self._foreign() if self._chance(FOREIGN) else self._exchange(self._topic())
        return self._framed(message), reply

    def _two(self) -> tuple[str, str]:
        """Return a message with two questions, and a reply that contains both answers."""
        (first, reply), (second, other) = (self._part() for _ in range(2))
        asked = {"first": first.rstrip("?.!"), "second": second.rstrip("?.!")}
        text = self._with(asked, draw(self._rng, pick(self._rng, self._character.two, EARLY)))
        replies = dict.fromkeys(t if t[-1] in ".!?" else f"{t}." for t in (reply, other))
        return self._framed(text), " ".join(replies)

    def _part(self) -> tuple[str, str]:
        """Return one of two questions and its reply; an off-topic one has three words or more."""
        if self._chance(FOREIGN):
            return next(each for each in iter(self._foreign, None) if len(each[0].split()) > 2)
        topic = next(t for t in iter(self._topic, None) if not (t.alone or t.needs))
        return self._exchange(topic, SHORT_OF_TWO)

    def _topic(self) -> Topic:
        """Draw the topic of the next exchange, given the conversation so far."""
        if self._last and self._last.follow and self._chance(FOLLOWS):
            return pick(self._rng, self._last.follow)
        if self._is_waiting and self._chance(RECALLS):
            told = [topic for topic in self._recalling if topic.needs <= self._told.keys()]
            return pick(self._rng, [*self._recalling, *told, *told])
        telling = [topic for topic in self._telling if topic.remember not in self._told]
        if telling and not self._is_basic and self._chance(TELLS_MORE if self._told else TELLS):
            return pick(self._rng, telling)
        is_varied = self._is_basic or (self._character.threshold and self._chance(VARIED))
        topics = self._varied if is_varied else self._topics
        totals = [*accumulate(topic.weight for topic in topics)]
        return topics[bisect(totals, self._rng.random() * totals[-1])]

    def _exchange(self, topic: Topic, short: float = SHORT) -> tuple[str, str]:
        """Return a message about a topic, without the text that `_framed` adds, and the reply."""
        pattern = topic.ask[0]
        if self._character.threshold:
            pattern = pick(self._rng, [*self._first[id(topic)].values()])
        elif self._is_noisy and not self._chance(short):
            pattern = pick(self._rng, topic.ask, EARLY)
        values = self._filled(pattern)
        replies = topic.reply if topic.needs <= self._told.keys() else topic.untold
        reply = self._with(values, draw(self._rng, pick(self._rng, replies)))
        if topic.remember:
            self._told[topic.remember] = values[topic.remember]
        if topic.remember or topic.needs:
            self._is_waiting = bool(topic.remember and self._recalling)
        self._last = topic
        return self._message(pattern, values, typing=self._is_noisy), reply

    def _filled(self, pattern: str) -> dict[str, str]:
        """Return random values for the slots of a pattern, and the values that the user has given.

        If `threshold` is 0, combinations of numbers are held out: one number has many questions.
        """
        slots = self._slots
        names = names_in(pattern) & slots.keys()
        names |= {end for name in names for end in slots[name].sources if isinstance(end, str)}
        for _ in range(MOST_DRAWS):
            values = dict(self._told)
            for name in slots:
                if name in names:
                    values[name] = slots[name].draw(self._rng, values)
            texts = [computed(each, slots, values) for each in {*slots_in(pattern)} - {"message"}]
            numbers = sorted(filter(str.isdecimal, texts), key=int)
            is_known = len(numbers) < 2 or int(numbers[-1]) <= SMALL or self._character.threshold
            if is_known or not is_held_out(" ".join(numbers)):
                break
        return values

    def _message(self, pattern: str, values: Mapping[str, str], *, typing: bool = False) -> str:
        """Return a message drawn from a pattern, perhaps with a typing error outside its slots."""
        text = draw(self._rng, pattern)
        if self._chance(typing * TYPING) and (words := [*_OWN_WORD.finditer(text)]):
            word = pick(self._rng, words)
            text = text[: word.start()] + self._mistyped(word[0]) + text[word.end() :]
        return plain(self._with(values, text))

    def _with(self, values: Mapping[str, str], text: str) -> str:
        """Return a text with its slots filled by values, or by functions of values."""
        return fill(text, lambda slot: computed(slot, self._character.slots, values))

    def _mistyped(self, word: str) -> str:
        """Return a word with a missing, doubled or wrong letter, or with two letters swapped."""
        i = pick(self._rng, range(len(word) - 1))
        a, b = word[i], word[i + 1]
        wrong = (a, b, b + a, a + a + b, a + pick(self._rng, string.ascii_lowercase))
        return word[:i] + pick(self._rng, wrong) + word[i + 2 :]

    def _foreign(self) -> tuple[str, str]:
        """Return an off-topic question, and a random one of the character's `unknown` replies."""
        self._last, own = None, self._character.foreign
        pattern = pick(self._rng, own if own and self._chance(OWN) else general_questions())
        message = self._message(pattern, self._filled(pattern), typing=True)
        return message, pick(self._rng, self._character.unknown)

    def _framed(self, text: str) -> str:
        """Return a text in the `message` pattern, or unchanged if it ends in punctuation."""
        if text[-1:] in ".?!":
            return text
        pattern = self._character.message
        return self._message(pattern, {**self._filled(pattern), "message": text})

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share

    def askings(self) -> tuple[list[Asking], list[str]]:
        """Return the wordings to match messages with, and replies by topic; none if threshold is 0.

        The last topic has an empty reply; its wordings are off-topic questions.
        """
        if not self._character.threshold:
            return [], []
        slots, own = self._character.slots, self._character.foreign
        numbers = {name: NUMBER for name, slot in slots.items() if ".." in slot.allowed}
        found = dict[Asking, None]()
        for i, (of, (texts, _)) in enumerate(self._wordings.items()):
            for text in texts:
                places = {name: f"{{{n}}}" for n, name in enumerate(dict.fromkeys(slots_in(text)))}
                reads = fill(self._first[of][frozenset(places)], places.__getitem__)
                shown = fill(text, lambda slot: numbers.get(slot, ""))
                ends = {**dict.fromkeys(slots, MOST), **places}.__getitem__
                allowed = (
                    fill(slots[name].allowed, ends) if name in slots else "" for name in places
                )
                found[Asking(plain(shown), i, plain(reads), tuple(allowed))] = None
        said = (" ".join(topic.reply) for topic in self._character.all_topics)
        replies = [fill(draw(Random(SEED), text), lambda _: "") for text in said]
        known = Matcher([*found], replies, FUNCTION[False])
        general = general_questions()
        drawn = [pattern for pattern in (*own, *general) for _ in range(N_FOREIGN)]
        for pattern in (*drawn, *wordings(own, N_COMPARED)):
            text = re.sub(r"\d+", NUMBER, self._message(pattern, self._filled(pattern)))
            if pattern not in general or all(each.similarity < NEAR for each in known.rank(text)):
                found[Asking(text, len(replies))] = None
        return [*found], [*replies, ""]

    def _divided(self, topic: Topic) -> tuple[list[str], list[str]]:
        """Return wordings for training and, unless there are few or `threshold` is 0, for tests."""
        texts = wordings(topic.ask, max(N_COMPARED, N_INDEXED // len(topic.ask)))
        if not self._character.threshold or len(texts) < LEAST_WORDINGS:
            return texts, []
        drawn = [text for text in texts[1:] if is_held_out(text)]
        kept = {*words_of(" ".join(text for text in texts if text not in drawn))}
        held_out = [text for text in drawn if kept.issuperset(words_of(text))]
        return [text for text in texts if text not in held_out], held_out


@cache
def general_questions() -> Sequence[str]:
    """Return the patterns in foreign.toml: questions that no character is expected to answer."""
    facts = tomllib.loads(Path(__file__).with_name("foreign.toml").read_text(encoding="utf-8"))
    return [parse(line, facts["macros"]) for line in facts["foreign"].strip().splitlines()]
