"""The TOML file of a character: its content, and its mistakes with their lines."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import cached_property
from random import Random
from typing import Annotated

from pydantic import BaseModel, Field, PlainValidator, ValidationError

from microgpt import DataError, TextFile, count, first_problem, plain
from microgpt_characters.pattern import PatternError, draw, names_in, parse, slots_in
from microgpt_characters.slots import Slot, computed, slot

FEW_ASKINGS = 8  # of a topic: with fewer, the model understands few other wordings
N_COMPARED = 16  # wordings of an asking that are compared with those of other topics
_HEADER = re.compile(r"""\s*\[\s*topics\s*\.\s*["']?(.*?)["']?\s*\]""")


class Topic(BaseModel, extra="forbid", strict=True):
    """What the character is asked, and what it replies."""

    ask: list[str] = []
    reply: list[str] = Field(min_length=1)
    untold: list[str] = []  # replies while a slot of another topic is not told
    remember: str | None = None
    weight: float = Field(1.0, gt=0, le=1000, strict=False)  # how often it is drawn
    alone: bool = False  # whether it is never one of two questions in a message
    like: str | None = None  # the topic whose askings it has, with other words
    words: dict[str, str] = {}
    follow: list["Topic"] = []  # what it is asked directly after a reply
    line: int = 1  # where it begins

    @cached_property
    def needs(self) -> set[str]:
        """The slots of its replies that another topic tells."""
        return names_in(*self.reply) - names_in(*self.ask)

    def in_other_words(self, text: str) -> str:
        """Return an asking of the topic that it is like."""
        return re.sub(r"\w+", lambda word: self.words.get(word[0], word[0]), text)

    def and_follow_ups(self) -> Iterator["Topic"]:
        """Yield the topic and, in their order, those that follow it."""
        yield self
        for each in self.follow:
            yield from each.and_follow_ups()


class Character(BaseModel, extra="forbid", strict=True):
    """The content of a file, with patterns instead of its texts; see docs/character.md."""

    name: str = Field(min_length=1)
    greeting: str = ""
    examples: list[str] = []  # that the page offers to ask
    unknown: list[str] = Field(min_length=1)
    foreign: list[str] = []
    message: str = "{message}[?|?|?|!|.|||||]"  # what may be around an asking
    two: list[str] = []
    typing: float = Field(0.05, ge=0, le=1, strict=False)
    # Least similarity of a message that is known; 0: the model alone decides.
    threshold: float = Field(0.45, ge=0, le=1, strict=False)
    conversations: int = Field(20_000, ge=100, le=1_000_000)
    macros: dict[str, str] = {}
    slots: dict[str, Annotated[Slot, PlainValidator(slot)]] = {}
    topics: dict[str, Topic] = Field(min_length=1, max_length=5_000)

    @cached_property
    def all_topics(self) -> list[Topic]:
        """The topics, and those that follow them."""
        return [each for topic in self.topics.values() for each in topic.and_follow_ups()]

    def advice(self) -> list[str]:
        """Return what would make the character better."""
        asked = [text for topic in self.topics.values() for text in topic.ask]
        used = names_in(*asked, *self.foreign)
        return [
            *(
                f"{name!r} (line {topic.line}) has {count(len(topic.ask), 'asking')}: "
                f"add some, to have {FEW_ASKINGS}"
                for name, topic in self.topics.items()
                if len(topic.ask) < FEW_ASKINGS
            ),
            *(f"no asking has the slot {name!r}" for name in self.slots if name not in used),
        ]


def wordings(patterns: Iterable[str], n: int) -> list[str]:
    """Return different wordings, with slots, from n draws of each pattern."""
    rng = Random(0)
    return [*dict.fromkeys(draw(rng, each) for each in patterns for _ in range(n))]


def read_character(file: TextFile) -> Character:
    """Return the character that a file describes.

    Raises:
        DataError: the file has a mistake; the message has its line.
    """
    return _Reading(file).character()


class _Reading:
    """Replaces the texts of a file by patterns, and names the lines of mistakes."""

    def __init__(self, file: TextFile) -> None:
        self._lines, self._path = [*file], file.path
        headers = ((n, _HEADER.match(line)) for n, line in enumerate(self._lines, 1))
        self._headers = {header[1]: n for n, header in headers if header}
        self._found = self._validated()
        self._samples: dict[str, str] = {}  # a value of each slot

    def character(self) -> Character:
        found = self._found
        for name, values in found.slots.items():
            try:
                self._samples[name] = values.draw(Random(0), self._samples)
            except (KeyError, ValueError) as error:
                problem = f"{name!r} must end at a number, or at an earlier slot of numbers"
                raise self._error(problem, self._line("[slots]"), f"{name} =") from error
        self._read_topics()
        found.foreign = self._patterns(found.foreign)
        (found.message,) = self._patterns([found.message], own=("message",))
        found.two = self._patterns(found.two, own=("first", "second"))
        return found

    def _validated(self) -> Character:
        try:
            return Character.model_validate(tomllib.loads("\n".join(self._lines)))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise DataError(f"{self._path} is not valid TOML: {error}; fix that line") from error
        except ValidationError as error:
            first, *rest = error.errors()[0]["loc"]
            key = next(part for part in (*reversed(rest), first) if isinstance(part, str))
            start = self._line(f"[{first}]")
            if first == "topics" and rest:
                start = self._headers.get(str(rest[0]), start)
            raise self._error(first_problem(error), start, f"{key} =") from error

    def _line(self, text: str, start: int = 1) -> int:
        """Return the first line from `start` on that has the beginning of a text, or `start`."""
        head = text.strip().partition("\n")[0]
        found = (n for n in range(start, len(self._lines) + 1) if head in self._lines[n - 1])
        return next(found, start)

    def _error(self, problem: str, start: int = 1, text: str = "") -> DataError:
        """Return an error with the line of a text."""
        return DataError(f"{self._path}, line {self._line(text, start)}: {problem}")

    def _patterns(
        self,
        texts: Sequence[str],
        start: int = 1,
        own: Sequence[str] = (),
        *,
        is_reply: bool = False,
    ) -> list[str]:
        """Return the patterns of texts, which need the slots `own` beside those of the file."""
        patterns, values = [], dict.fromkeys(own, "") | self._samples
        for text in texts:
            try:
                pattern = parse(text, self._found.macros, is_reply=is_reply)
                if missing := {*own} - names_in(pattern):
                    raise PatternError(f"the text needs {{{min(missing)}}}; add it")
                for filled in slots_in(pattern):
                    computed(filled, self._found.slots, values)
            except PatternError as error:
                raise self._error(str(error), start, text) from error
            patterns.append(pattern)
        return patterns

    def _read_topics(self) -> None:
        topics = self._found.topics
        told = {topic.remember for topic in self._found.all_topics if topic.remember}
        asked: dict[str, list[str]] = {}  # the askings of earlier topics, as they are written
        owners: dict[str, str] = {}  # topics of wordings
        for name, topic in topics.items():
            line = self._headers.get(name, 1)
            if topic.like:
                if topic.like not in asked:
                    problem = f"no topic before this one is called {topic.like!r}; change it"
                    raise self._error(problem, line, "like =")
                topic.ask += map(topic.in_other_words, asked[topic.like])
            asked[name] = topic.ask
            for each in topic.and_follow_ups():
                each.line = line
                self._read_topic(name, each, told)
            for wording in wordings(topic.ask, N_COMPARED):
                other = owners.setdefault(plain(wording), name)
                if topics[other].reply != topic.reply:
                    place = f"{other!r} (line {topics[other].line})"
                    problem = f"{wording!r:.60} is an asking of {place} too; change one of them"
                    raise self._error(problem, line)

    def _read_topic(self, name: str, topic: Topic, told: Set[str]) -> None:
        """Replace the texts of a topic by patterns, and check that its replies can be filled."""
        if not topic.ask:
            raise self._error(f'{name!r} has no askings; add ask = ["…"]', topic.line)
        texts, topic.ask = topic.ask, self._patterns(topic.ask, topic.line)
        topic.reply = self._patterns(topic.reply, topic.line, is_reply=True)
        topic.untold = self._patterns(topic.untold, topic.line, is_reply=True)
        wanted = names_in(*topic.reply) - told | ({topic.remember} if topic.remember else set())
        for text, pattern in zip(texts, topic.ask, strict=True):
            for wording in wordings([pattern], N_COMPARED):
                if missing := wanted - names_in(wording):
                    problem = f"{{{min(missing)}}} is in the reply, but not in the asking"
                    raise self._error(f"{problem} {wording!r:.60}; add it there", topic.line, text)
        if topic.needs and not topic.untold:
            problem = f"{{{min(topic.needs)}}} may not have been told to {name!r}"
            raise self._error(f'{problem}; add untold = ["…"]', topic.line)
