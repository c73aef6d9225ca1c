"""Compare a message with the wordings of all topics, by words and letter trigrams.

A *message* is what the user writes. A *wording* (`Asking`) is one way to ask about a *topic*; its
*slots*, {0} and {1}, are filled with words of the message, the *values*. Words are weighted by
inverse document frequency (Spärck Jones 1972); they match synonyms and words that share many
trigrams. The similarity, about 0 to 1, is the fraction of a message's weight that is in a wording,
corrected by the *coverage*, the fraction of the wording's weight that is in the message.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from microgpt import fold

WORD, SLOT, RANGE = map(re.compile, (r"\w+", r"\{(\d)\}", r"([0-9]+)\.\.([0-9]+)"))
MOST_CHARACTERS = 500  # number of characters of a message that are compared; the rest is ignored
NUMBER = "0"  # replaces each number that is in a message, but in no wording
GROUP, LEAST_EQUAL = 3, 0.45  # trigram length; minimum similarity (Dice 1945) of matching words
SYNONYM, TOPIC = 0.7, 0.5  # weight factors of synonyms, and of a topic's words outside a wording
FUNCTION = {True: 0.15, False: 0.5}  # weight factor of function words; True is for a table
COVERAGE = 0.2  # weight of a wording's coverage in the similarity
OPEN = 0.6  # minimum coverage of a wording if words of the message fill its slots
ENDING = 2  # maximum number of letters, such as a plural's s, that a message adds to a value

_FOLDER = Path(__file__).parent
FUNCTION_WORDS = dict.fromkeys((_FOLDER / "function_words.txt").read_text("utf-8").split())
SYNONYMS = [*map(str.split, (_FOLDER / "synonyms.txt").read_text("utf-8").splitlines())]
Weights = dict[str, float]  # weights by word


class Asking(NamedTuple):
    """A wording: one way to ask about a topic."""

    text: str
    topic: int
    reads: str = ""  # text that the model reads instead of `text`; {0} is the first slot
    allowed: Sequence[str] = ()  # by slot: words, and ranges such as 0..9 or 0..{0}; "" for all


class Match(NamedTuple):
    """A wording that is similar to a message, and the similarity."""

    asking: Asking
    similarity: float
    read: str  # text for the model to read, with words of the message in its slots


class Matcher:
    """Finds the wordings that are similar to a message."""

    def __init__(self, askings: Sequence[Asking], replies: Sequence[str], function: float) -> None:
        """Index the words of wordings and replies; `function` is the factor for function words."""
        self._askings, self._most, self._function = askings, math.log(len(replies) + 1), function
        self._places: dict[str, dict[int, float]] = defaultdict(dict)  # weights by word and wording
        self._with_group: dict[str, list[str]] = defaultdict(list)
        asked, about = [words_of(each.text) for each in askings], [*map(words_of, replies)]
        self._fixed = {NUMBER, *FUNCTION_WORDS}  # words that cannot fill slots
        for words, asking in zip(asked, askings, strict=True):
            if replies[asking.topic]:
                self._fixed.update(words)
                about[asking.topic] += words
        for i, asking in enumerate(askings):
            for word in about[asking.topic]:
                self._places[word][i] = TOPIC
            for word in asked[i]:
                self._places[word][i] = 1.0
        for word in self._places:
            for group in groups_of(word):
                self._with_group[group].append(word)
        self._weights = {word: self._weight(word) for word in self._places}
        self._sizes = [sum(self._weights[word] for word in dict.fromkeys(some)) for some in asked]

    def rank(self, text: str) -> list[Match]:
        """Return a match for each wording that is similar to a text, in the order of `askings`."""
        shared: dict[int, Weights] = defaultdict(dict)  # weights of a text's words in each wording
        covered: dict[int, Weights] = defaultdict(dict)  # similarity of a wording's words to a text
        most: Weights = {}  # largest weight of each word of the text in any wording
        words = words_of(text[:MOST_CHARACTERS])
        numbers = {w for w in words if w.isdecimal() and (w == NUMBER or w not in self._weights)}
        for word in dict.fromkeys(NUMBER if word in numbers else word for word in words):
            for known, similarity in self._similar(word).items():
                for i, part in self._places[known].items():
                    weight = part * similarity * self._weights[known]
                    _raise(shared[i], word, weight)
                    _raise(most, word, weight)
                    if part == 1.0:
                        _raise(covered[i], known, similarity)
            most.setdefault(word, self._weight(word))
        free = [word for word in words if word in numbers or word not in self._fixed]
        found = (self._match(i, free, most, shared[i], covered[i]) for i in sorted(shared))
        return [*filter(None, found)]

    def _match(
        self, i: int, free: list[str], most: Weights, shared: Weights, covered: Weights
    ) -> Match | None:
        """Return the match of wording `i`; None if slots stay empty or coverage is too low."""
        asking, read, weight = self._askings[i], sum(most.values()), sum(shared.values())
        common = sum(self._weights[word] * part for word, part in covered.items())
        coverage = common / (self._sizes[i] or 1.0)
        values: list[str] = []
        if slots := {*SLOT.findall(asking.reads)}:
            n_open = len(slots) - words_of(asking.text).count(NUMBER)
            words = (word for word in free if word in most and not word.isdecimal())
            gaps = {word: most[word] - shared.get(word, 0.0) for word in words}
            fillers = sorted(gaps, key=gaps.__getitem__)[len(gaps) - n_open :]
            said = [word for word in free if word in fillers or word.isdecimal()]
            if len(said) != len(slots) or (n_open and coverage < OPEN):
                return None
            values += map(value_of, said, (each.format(*said) for each in asking.allowed or said))
            if "" in values:
                return None
            read -= sum(gaps[word] for word in fillers)
        share = weight / read * (1 - COVERAGE + COVERAGE * coverage)
        share += COVERAGE * coverage * min(weight / self._most, 2)  # a rare word weighs `_most`
        rounded = math.floor(share * 1e9 + 0.5) / 1e9  # so that ties are the same in JavaScript
        text = SLOT.sub(lambda slot: values[int(slot[1])], asking.reads)
        return Match(asking, rounded, text or asking.text)

    def _weight(self, word: str) -> float:
        """Return the weight of a word; a word of no topic weighs as much as a word of one topic."""
        topics = {self._askings[i].topic for i in self._places.get(word, ())}
        weight = self._most - math.log(len(topics) or 1)
        return self._function * weight if word in FUNCTION_WORDS else weight

    def _similar(self, word: str) -> Weights:
        """Return the similarities of the indexed words that resemble a word or its synonyms."""
        found: Weights = {}
        lines = () if word in FUNCTION_WORDS else (line for line in SYNONYMS if word in line)
        for other in (word, *chain(*lines)):
            groups = groups_of(other)
            part = 1.0 if other == word else SYNONYM
            counts = Counter(known for group in groups for known in self._with_group.get(group, ()))
            for known, n in counts.items():
                equal = 2 * n / (len(groups) + len(groups_of(known)))
                if equal >= LEAST_EQUAL:
                    _raise(found, known, part * equal)
            if other in self._weights:
                _raise(found, other, part)
        return found


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case without accents; "e-mail" is one word, and "I'm" two."""
    return WORD.findall(fold(text).replace("-", ""))


def value_of(word: str, allowed: str) -> str:
    """Return the allowed word or number that a word of a message means, or ""."""
    if not allowed or word in allowed.split():
        return word
    if word.isdecimal():
        ends = RANGE.findall(allowed) if word.isascii() else ()
        return word if any(int(low) <= int(word) <= int(high) for low, high in ends) else ""
    near = (each for each in allowed.split() if len(word) - len(each) <= ENDING)
    return next(filter(word.startswith, near), "")


def groups_of(word: str) -> Sequence[str]:
    """Return the distinct trigrams of `^word`, or none for a function word."""
    marked = f"^{word}"
    n_groups = 0 if word in FUNCTION_WORDS else len(marked) - GROUP + 1
    return [*dict.fromkeys(marked[i : i + GROUP] for i in range(n_groups))]


def _raise(numbers: Weights, key: str, number: float) -> None:
    """Raise `numbers[key]` to at least `number`."""
    numbers[key] = max(numbers.get(key, 0.0), number)


RULES = {  # constants for the HTML page, which matches messages in JavaScript
    "mostCharacters": MOST_CHARACTERS, "number": NUMBER, "group": GROUP, "leastEqual": LEAST_EQUAL,
    "synonym": SYNONYM, "topic": TOPIC, "coverage": COVERAGE, "open": OPEN, "ending": ENDING,
    "synonyms": SYNONYMS, "functionWords": [*FUNCTION_WORDS],
}  # fmt: skip
