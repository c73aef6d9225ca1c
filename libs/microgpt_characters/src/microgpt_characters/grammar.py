"""The TOML file of a character: its content, and its mistakes with their lines."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from microgpt import DataError, TextFile, bundled, count, first_problem, load_text, plain
from microgpt_characters.functions import EXAMPLES, FUNCTIONS
from microgpt_characters.pattern import PatternError, draw, names_in, parse, pick, slots_in

HELD_OUT = 0.1  # share of the words of a slot that are left out of the training
LEAST_VALUES = 10  # words of a slot, so that some can be left out
FEW_ASKINGS = 8  # of a topic: with fewer, the model understands few other wordings
N_COMPARED = 16  # wordings of an asking that are compared with those of other topics
WORD_LISTS = {
    "names": bundled("names.txt"),
    **{name: Path(__file__).with_name(f"{name}.txt") for name in ("words", "colors")},
}
_HEADER = re.compile(r"\s*\[\[\s*topics\s*\]\]")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9}|[a-z_]\w*)")


class Values(NamedTuple):
    """The values of a slot: one of several ranges, such as "0..99", or of several lists."""

    sources: tuple[str | tuple[str, ...], ...]
    table: Mapping[str, str] | None = None

    @property
    def are_numbers(self) -> bool:
        """Whether the values are numbers."""
        return isinstance(self.sources[0], str)

    @property
    def ends(self) -> set[str]:
        """The slots at which its ranges end."""
        ends = {source.split("..")[1] for source in self.sources if isinstance(source, str)}
        return {end for end in ends if not end.isdecimal()}

    def draw(self, rng: Random, others: Mapping[str, str], *, is_test: bool) -> str:
        """Return a random value; in a test, one that is left out of the training, if any."""
        source = pick(rng, self.sources)
        if isinstance(source, str):
            first, last = source.split("..")
            return str(
                int(first) + int(rng.random() * (int(others.get(last, last)) - int(first) + 1))
            )
        seen, held_out = _divided(source)
        return pick(rng, (held_out if is_test else seen) or source)


def _values(given: object) -> Values:
    """Return the values that a file gives; raise PydanticCustomError if it gives none."""
    if isinstance(given, str):
        texts = given.split("|")
        if not all(text in WORD_LISTS or _is_range(text) for text in texts):
            kinds = 'a list, a table, "names" or a range such as "0..99"'
            raise PydanticCustomError("values", f"must be {kinds}")
        return Values(tuple(_words(text) if text in WORD_LISTS else text for text in texts))
    words = [*given] if isinstance(given, list | dict) else []
    if not words or any(
        not isinstance(word, str) or re.search(r"[][{}|<>]|^\s*$", word) for word in words
    ):
        raise PydanticCustomError("values", "must be plain words without [ ] | < > or braces")
    return Values((tuple(words),), given if isinstance(given, dict) else None)


def _is_range(text: str) -> bool:
    found = _RANGE.fullmatch(text)
    return found is not None and (not found[2].isdecimal() or int(found[1]) <= int(found[2]))


@cache
def _words(name: str) -> tuple[str, ...]:
    words = " ".join(load_text(WORD_LISTS[name])).split()
    return tuple(word for word in words if 3 <= len(word) <= 7)


@cache
def _divided(words: tuple[str, ...]) -> tuple[Sequence[str], Sequence[str]]:
    if len(words) < LEAST_VALUES:
        return words, ()
    return [w for w in words if not is_held_out(w)], [w for w in words if is_held_out(w)]


def is_held_out(text: str) -> bool:
    """Return whether the value of a slot is left out of the training; only the text decides."""
    return int(sha256(text.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT


class Follow(BaseModel, extra="forbid", strict=True):
    """What the character is asked directly after a reply, and what it replies."""

    topic: str = ""
    ask: list[str] = Field(min_length=1)
    reply: list[str] = []  # by default, a reply to what it does not know
    untold: list[str] = []  # replies while a slot of another topic is not told
    remember: str | None = None
    weight: float = Field(1.0, gt=0, le=1000, strict=False)  # how often it is drawn
    alone: bool = False  # whether it is never one of two questions in a message
    line: int = 1  # where it begins

    @cached_property
    def needs(self) -> set[str]:
        """The slots of its replies that another topic tells."""
        return names_in(*self.reply) - names_in(*self.ask)


class Topic(Follow):
    """What the character is asked, and what it replies."""

    topic: str = Field(min_length=1)
    ask: list[str] = []
    like: str | None = None  # the topic whose askings it has, with other words
    words: dict[str, str] = {}
    follow: list[Follow] = []

    def in_other_words(self, text: str) -> str:
        """Return an asking of the topic that it is like."""
        return re.sub(r"\w+", lambda word: self.words.get(word[0], word[0]), text)


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
    threshold: float | None = Field(None, ge=0, le=1, strict=False)
    conversations: int = Field(20_000, ge=100, le=1_000_000)
    macros: dict[str, str] = {}
    slots: dict[str, Annotated[Values, PlainValidator(_values)]] = {}
    topics: list[Topic] = Field(min_length=1, max_length=5_000)

    def pattern(self, text: str, own: Sequence[str] = (), *, is_reply: bool = False) -> str:
        """Return the pattern of a text; raise PatternError if it is invalid.

        Args:
            own: slots that the text must have, which are no slots of the file.
        """
        if not text.strip():
            raise PatternError("a text is empty; write one, or remove it")
        found = parse(text, self.macros, is_reply=is_reply)
        if not names_in(found) >= {*own}:
            raise PatternError(f"it must have {{{'} and {'.join(own)}}}")
        for words in slots_in(found):
            if words[0] not in own:
                self._check_slot(words, is_reply=is_reply)
        return found

    def _check_slot(self, words: list[str], *, is_reply: bool) -> None:
        function, names = words[0], words[1:] or words
        if wrong := next((name for name in names if name not in self.slots), None):
            raise PatternError(f"no slot is called {wrong!r}; add it to [slots]")
        if len(words) == 1:
            return
        if not is_reply or function not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise PatternError(f"{function!r} is none of the functions of replies: {known}")
        n, kind = FUNCTIONS[function].n_slots, FUNCTIONS[function].kind
        if len(names) != n:
            raise PatternError(f"{function} takes {count(n, 'slot')}, got {len(names)}")
        values = [self.slots[name] for name in names]
        if any(each.are_numbers != (kind == "numbers") for each in values) or (
            kind == "table" and not values[0].table
        ):
            raise PatternError(f"{function} needs {kind}, such as {EXAMPLES[kind]}")

    def advice(self) -> list[str]:
        """Return what would make the character better."""
        few = [topic for topic in self.topics if len(topic.ask) < FEW_ASKINGS]
        used = names_in(*(text for topic in self.topics for text in topic.ask), *self.foreign)
        return [
            *(f"{t.topic!r} (line {t.line}) has {count(len(t.ask), 'asking')}: add some, to have "
              f"{FEW_ASKINGS}" for t in few),
            *(f"no asking has the slot {name!r}" for name in self.slots if name not in used),
        ]  # fmt: skip


def wordings(patterns: Iterable[str], n: int) -> list[str]:
    """Return different wordings, from n draws of each pattern; names stand for slots."""
    rng, found = Random(0), dict[str, None]()
    for pattern in patterns:
        for _ in range(n):
            found[plain(draw(rng, pattern, lambda words: f"{{{words[-1]}}}"))] = None
    return [*found]


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
        self._headers = [n for n, line in enumerate(self._lines, 1) if _HEADER.match(line)]

    def character(self) -> Character:
        try:
            found = Character.model_validate(tomllib.loads("\n".join(self._lines)))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise DataError(f"{self._path} is not valid TOML: {error}; fix that line") from error
        except ValidationError as error:
            place = error.errors()[0]["loc"]
            start = self._header(place[1]) if len(place) > 1 else 1
            if place[0] in ("slots", "macros"):
                start = self._line(f"[{place[0]}]", 1)
            with self._at(f"{[each for each in place if isinstance(each, str)][-1]} =", start):
                raise PatternError(first_problem(error)) from error
        for name, values in found.slots.items():
            plain_numbers = {n for n, v in found.slots.items() if v.are_numbers and not v.ends}
            with self._at(f"{name} =", self._line("[slots]", 1)):
                if not values.ends <= plain_numbers:
                    raise PatternError(f"{name!r} must end at a number or a slot such as 0..99")
        self._read_topics(found)
        found.foreign = self._patterns(found, found.foreign, 1)
        (found.message,) = self._patterns(found, [found.message], 1, ("message",))
        found.two = self._patterns(found, found.two, 1, ("first", "second"))
        return found

    def _header(self, i: object) -> int:
        return self._headers[i] if isinstance(i, int) and i < len(self._headers) else 1

    def _line(self, text: str, start: int) -> int:
        """Return the first line from `start` on that has the beginning of a text, or `start`."""
        head = text.strip().split("\n")[0] or '""'
        found = (n for n in range(start, len(self._lines) + 1) if head in self._lines[n - 1])
        return next(found, start)

    @contextmanager
    def _at(self, text: str, start: int) -> Iterator[None]:
        """Name the line of a text in the message of a PatternError."""
        try:
            yield
        except PatternError as error:
            raise DataError(f"{self._path}, line {self._line(text, start)}: {error}") from error

    def _patterns(
        self,
        found: Character,
        texts: Sequence[str],
        start: int,
        own: Sequence[str] = (),
        *,
        is_reply: bool = False,
    ) -> list[str]:
        patterns = []
        for text in texts:
            with self._at(text, start):
                patterns.append(found.pattern(text, own, is_reply=is_reply))
        return patterns

    def _read_topics(self, found: Character) -> None:
        earlier: dict[str, list[str]] = {}  # askings, as they are written
        told = {topic.remember for topic in found.topics if topic.remember}
        owners: dict[str, Topic] = {}
        for i, topic in enumerate(found.topics):
            topic.line = self._header(i)
            with self._at("[[", topic.line):
                if topic.like and topic.like not in earlier:
                    raise PatternError(f"no topic before this one is called {topic.like!r}")
                if topic.like:
                    topic.ask += map(topic.in_other_words, earlier[topic.like])
                if not topic.ask:
                    raise PatternError(f'{topic.topic!r} has no askings; add ask = ["…"]')
            earlier.setdefault(topic.topic, topic.ask)
            self._read_exchanges(found, topic, told)
            for each in topic.follow:
                each.topic, each.line = f"{topic.topic}, then", topic.line
                self._read_exchanges(found, each, set())
            with self._at("[[", topic.line):
                for text in wordings(topic.ask, N_COMPARED):
                    other = owners.setdefault(text, topic)
                    if other.reply != topic.reply:
                        problem = f"{text!r:.60} is an asking of {other.topic!r}"
                        raise PatternError(f"{problem} (line {other.line}) too; change one of them")

    def _read_exchanges(self, found: Character, topic: Follow, told: set[str]) -> None:
        """Replace the texts of a topic by patterns, and check that its replies can be filled."""
        texts, start = topic.ask, topic.line
        topic.ask = self._patterns(found, texts, start)
        topic.reply = self._patterns(found, topic.reply, start, is_reply=True)
        topic.untold = self._patterns(found, topic.untold, start, is_reply=True)
        wanted = names_in(*topic.reply) - told | ({topic.remember} if topic.remember else set())
        for text, pattern in zip(texts, topic.ask, strict=True):
            with self._at(text, start):
                for wording in wordings([pattern], N_COMPARED):
                    if missing := wanted - names_in(wording):
                        problem = f"{{{min(missing)}}} is in the reply, but not in the asking"
                        raise PatternError(f"{problem} {wording!r:.60}; add it there")
        if topic.needs and not topic.untold:
            with self._at("[[", start):
                problem = f"{{{min(topic.needs)}}} may not have been told to {topic.topic!r}"
                raise PatternError(f'{problem}; add untold = ["…"]')
