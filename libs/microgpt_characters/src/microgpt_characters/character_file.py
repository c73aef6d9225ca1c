"""Read a character file (TOML); an error names the line of the mistake."""

import re
import tomllib
from collections.abc import Iterable
from functools import cached_property
from random import Random
from typing import Annotated

from pydantic import BaseModel, Field, PlainValidator, ValidationError

from microgpt import DataError, TextFile, count, first_problem, plain
from microgpt_characters.pattern import draw, names_in, parse, slots_in
from microgpt_characters.slots import Slot, computed, slot

ENOUGH = 8  # recommended number of wordings per topic; with fewer, many messages match no wording
N_COMPARED = 16  # number of wordings to draw per pattern, to find any that two topics share
_HEADER = re.compile(r"\s*(\[(?!\[)\s*(?:topics\s*\.\s*)?)?\W?(?!words *=)(.*?)\W?\s*(?(1)\]|= \{)")


class Topic(BaseModel, extra="forbid", strict=True):
    """A topic: patterns of the questions that users ask, and of the replies."""

    ask: list[str] = []
    reply: list[str] = Field(min_length=1)
    untold: list[str] = []  # replies if the user has not given a value that `reply` needs
    remember: str = ""  # slot of `ask` whose value the replies of other topics can use
    weight: float = Field(1.0, gt=0, le=1000, strict=False)  # relative frequency in training
    alone: bool = False  # whether to exclude this topic from generated messages with two questions
    like: str | None = None  # earlier topic whose `ask` is copied, with `words` replaced
    words: dict[str, str] = {}
    follow: list["Topic"] = []  # topics that can be asked about only directly after this one
    line: int = 1  # line number of the topic in the file

    @cached_property
    def needs(self) -> set[str]:
        """The slots that replies use but `ask` lacks; another topic must give their values."""
        return names_in(*self.reply) - names_in(*self.ask)


class Character(BaseModel, extra="forbid", strict=True):
    """The content of a character file, with its texts as patterns; see docs/character.md."""

    name: str = Field(min_length=1)
    greeting: str = ""
    unknown: list[str] = Field(min_length=1)
    foreign: list[str] = []
    message: str = "{message}[?|?|?|!|.|||||]"  # pattern of what a user types; {message}: a wording
    two: list[str] = []
    # Minimum similarity of a message to a matching wording; with 0, messages are not matched.
    threshold: float = Field(0.48, ge=0, le=1, strict=False)
    conversations: int = Field(20_000, ge=100, le=1_000_000)
    macros: dict[str, str] = {}
    slots: dict[str, Annotated[Slot, PlainValidator(slot)]] = {}
    topics: dict[str, Topic] = Field(min_length=1, max_length=5_000)

    @cached_property
    def all_topics(self) -> list[Topic]:
        """The topics of the file, and after them all their follow-up topics."""
        found = [*self.topics.values()]
        for topic in found:
            found += topic.follow
        return found

    def advice(self) -> list[str]:
        """Return a line of advice for each topic that has too few wordings."""
        return [
            f"{name!r} (line {topic.line}) has {count(n, 'wording')}: add some, to have {ENOUGH}"
            for name, topic in self.topics.items()
            if (n := len(wordings(topic.ask, N_COMPARED))) < ENOUGH
        ]


def wordings(patterns: Iterable[str], n: int) -> list[str]:
    """Return the distinct wordings among n draws from each pattern, with their slots unfilled."""
    rng = Random(0)
    return [*dict.fromkeys(draw(rng, each) for each in patterns for _ in range(n))]


def read_character(file: TextFile) -> Character:
    """Return the character that a file describes; raise DataError with the line of a mistake."""
    return _Reading(file).found


class _Reading:
    """Reads a character file, parses its texts into patterns, and finds the lines of mistakes."""

    def __init__(self, file: TextFile) -> None:
        self._lines, self._path = [*file], file.path
        headers = ((n, _HEADER.match(line)) for n, line in enumerate(self._lines, 1))
        self._headers = {header[2]: n for n, header in headers if header}
        self.found = found = self._validated()
        self._samples: dict[str, str] = {}  # a sample value of each slot
        for name, values in found.slots.items():
            try:
                self._samples[name] = values.draw(Random(0), self._samples)
            except (KeyError, ValueError) as error:
                problem = f"{name!r} must end at a number, or at an earlier slot of numbers"
                raise self._error(problem, self._headers["slots"], f"{name} =") from error
        self._samples |= dict.fromkeys(("message", "first", "second"), "")
        found.foreign = self._patterns(found.foreign)
        found.two = self._patterns(found.two)
        (found.message,) = self._patterns([found.message])
        asked: dict[str, list[str]] = {}  # the `ask` of each topic, before it is parsed
        owners: dict[str, Topic] = {}  # the topic of each wording
        for name, topic in found.topics.items():
            topic.line = self._headers.get(name, 1)
            if topic.like and topic.like not in asked:
                problem = f"no topic before this one is called {topic.like!r}; change it"
                raise self._error(problem, topic.line, "like =")
            for text in asked.get(topic.like or "", ()):
                parts = re.split(r"(\W+)", text)
                topic.ask.append("".join(topic.words.get(part, part) for part in parts))
            asked[name] = topic.ask
            self._read_topic(topic, owners)

    def _validated(self) -> Character:
        try:
            return Character.model_validate(tomllib.loads("\n".join(self._lines)))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            wrong = f"{self._path} is not valid TOML: {error}"
            raise DataError(f"{wrong}; fix that line, or pass a character file") from error
        except ValidationError as error:
            problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
            place = [part for part in problem["loc"] if isinstance(part, str)]
            message = first_problem(error)
            start = max((self._headers.get(part, 1) for part in place[:-1]), default=1)
            text = "" if problem["type"] == "missing" else f"{place[-1]} ="
            if problem["type"] == "extra_forbidden":
                keys = (Topic if "topics" in place[:-1] else Character).model_fields
                usable = ", ".join(sorted(keys.keys() - {"line"}))
                message = f"{place[-1]} is an unknown key; use {usable}"
            raise self._error(message, start, text) from error

    def _error(self, problem: str, start: int, text: str) -> DataError:
        """Return an error that names the first line, from `start` on, that contains a text."""
        head = text.strip().partition("\n")[0]
        found = (n for n in range(start, len(self._lines) + 1) if head in self._lines[n - 1])
        return DataError(f"{self._path}, line {next(found, start)}: {problem}")

    def _patterns(self, texts: list[str], start: int = 1, *, is_reply: bool = False) -> list[str]:
        patterns = []
        for text in texts:
            try:
                patterns.append(parse(text, self.found.macros, is_reply=is_reply))
                for filled in slots_in(patterns[-1]):
                    computed(filled, self.found.slots, self._samples)
            except DataError as error:
                raise self._error(str(error), start, text) from error
        return patterns

    def _read_topic(self, topic: Topic, owners: dict[str, Topic]) -> None:
        """Parse a topic's texts into patterns; refuse missing slots and ambiguous wordings."""
        texts, line = topic.ask, topic.line
        if not texts:
            raise self._error('the topic has no askings; add ask = ["…"]', line, "")
        topic.ask = self._patterns(texts, line)
        topic.reply = self._patterns(topic.reply, line, is_reply=True)
        topic.untold = self._patterns(topic.untold, line, is_reply=True)
        told = {other.remember for other in self.found.all_topics}
        wanted = names_in(*topic.reply) - told | {topic.remember} - {""}
        if topic.needs and not topic.untold:
            problem = f"{{{min(topic.needs)}}} may not have been told"
            raise self._error(f'{problem}; add untold = ["…"]', line, "")
        for text, pattern in zip(texts, topic.ask, strict=True):
            for wording in wordings([pattern], N_COMPARED):
                if missing := wanted - names_in(wording):
                    problem = f"{{{min(missing)}}} is in the reply, but not in the asking"
                    raise self._error(f"{problem} {wording!r:.60}; add it there", line, text)
                other = owners.setdefault(plain(wording), topic)
                if other.reply != topic.reply:
                    problem = f"{wording!r:.60} is an asking of the topic in line {other.line}"
                    raise self._error(f"{problem}, too; change one of them", line, text)
        for each in topic.follow:
            each.line = line
            self._read_topic(each, {})
