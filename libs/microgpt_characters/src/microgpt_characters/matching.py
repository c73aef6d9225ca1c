"""Match a message with the asking that it means, by words and by groups of letters.

Rare words weigh more (inverse document frequency; Spärck Jones 1972). A word also matches synonyms,
and words with many of its groups of three letters. The similarity, about 0 to 1, is the share of
the message's weight that the asking has; other words of the asking lower it, much in common raises.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from microgpt import fold

WORD, SLOT = re.compile(r"\w+"), re.compile(r"\{(\d)\}")
# Number of characters and words of a message that count; they limit the time for a long one.
MOST_CHARACTERS, MOST_WORDS = 2_000, 64
NUMBER = "0"  # stands for each number that no asking has
GROUP, LEAST_EQUAL = 3, 0.45  # letters of a group; least share of equal groups (Dice 1945)
SYNONYM, TOPIC = 0.7, 0.5  # similarity of synonyms; weight of words that others of the topic have
FUNCTION = {True: 0.15, False: 0.5}  # weight of a function word, in a table and in a character
COVERAGE = 0.2  # how much other words of the asking lower, and how much shared rare ones raise
FOREIGN = 0.4  # how much other words of a foreign question lower; its last word is often random
OPEN = 0.6  # least share of the asking's words, if some words of the message fill its slots

_FOLDER = Path(__file__).parent
FUNCTION_WORDS = dict.fromkeys((_FOLDER / "function_words.txt").read_text("utf-8").split())
SYNONYMS = [*map(str.split, (_FOLDER / "synonyms.txt").read_text("utf-8").splitlines())]
Weights = dict[str, float]  # by word


class Asking(NamedTuple):
    """A text that means a topic."""

    text: str
    topic: int
    reads: str = ""  # what the model reads instead; {0} is the first word for a slot


class Match(NamedTuple):
    """An asking that a message may mean."""

    asking: Asking
    similarity: float
    read: str  # by the model, with the words of the message in the slots


class Matcher:
    """Finds the asking that a message means."""

    def __init__(self, askings: Sequence[Asking], replies: Sequence[str], function: float) -> None:
        """Index askings, and the replies of their topics."""
        self._askings, self._replies, self._function = askings, replies, function
        self._most = math.log(len(replies) + 1)  # weight of a word that is not known
        self._places: dict[str, dict[int, float]] = defaultdict(dict)  # by known word, by asking
        self._with_group: dict[str, list[str]] = defaultdict(list)
        asked, about = [words_of(each.text) for each in askings], [*map(words_of, replies)]
        self._fixed = {NUMBER, *FUNCTION_WORDS}  # words that fill no slot, such as those of topics
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
        """Return the askings that a text may mean, in their order."""
        shared: dict[int, Weights] = defaultdict(dict)  # by asking, and word of the text
        covered: dict[int, Weights] = defaultdict(dict)  # similarities, by asking and word of it
        most: Weights = {}  # by word of the text, in any asking
        words = words_of(text[:MOST_CHARACTERS])
        numbers = {w for w in words if w.isdecimal() and (w == NUMBER or w not in self._weights)}
        read = dict.fromkeys(NUMBER if word in numbers else word for word in words)
        for word in [*read][:MOST_WORDS]:
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
        """Return how an asking matches; None if words of it, or for its slots, are missing."""
        asking, read, weight = self._askings[i], sum(most.values()), sum(shared.values())
        coverage = sum(self._weights[word] * part for word, part in covered.items())
        coverage /= self._sizes[i] or 1.0
        values: list[str] = []
        if slots := {*SLOT.findall(asking.reads)}:
            n_open = len(slots) - words_of(asking.text).count(NUMBER)
            words = (word for word in free if word in most and not word.isdecimal())
            gaps = {word: most[word] - shared.get(word, 0.0) for word in words}
            fillers = sorted(gaps, key=gaps.__getitem__)[len(gaps) - n_open :]
            values += (word for word in free if word in fillers or word.isdecimal())
            if len(values) != len(slots) or (n_open and coverage < OPEN):
                return None
            read -= sum(gaps[word] for word in fillers)
        part = COVERAGE if self._replies[asking.topic] else FOREIGN
        share = weight / read * (1 - part + part * coverage)
        share += COVERAGE * coverage * min(weight / self._most, 2)  # two rare words at most
        rounded = math.floor(share * 1e9 + 0.5) / 1e9  # so that JavaScript, too, finds equal ones
        text = SLOT.sub(lambda slot: values[int(slot[1])], asking.reads)
        return Match(asking, rounded, text or asking.text)

    def _weight(self, word: str) -> float:
        """Return the weight of a word; one that is not known weighs as much as one of one topic."""
        topics = {self._askings[i].topic for i in self._places.get(word, ())}
        weight = self._most - math.log(len(topics) or 1)
        return self._function * weight if word in FUNCTION_WORDS else weight

    def _similar(self, word: str) -> Weights:
        """Return the known words that resemble a word or a synonym of it, with the similarity.

        Words resemble each other if they share many groups of letters.
        """
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
    """Return the words of a text without case and accents; "e-mail" is one, "I'm" two words."""
    return WORD.findall(fold(text).replace("-", ""))


def groups_of(word: str) -> Sequence[str]:
    """Return the different groups of letters of a word, whose beginning is marked."""
    marked = f"^{word}"
    n_groups = 0 if word in FUNCTION_WORDS else len(marked) - GROUP + 1
    return [*dict.fromkeys(marked[i : i + GROUP] for i in range(n_groups))]


def _raise(numbers: Weights, key: str, number: float) -> None:
    """Set the number of a key to another one, unless it is larger."""
    numbers[key] = max(numbers.get(key, 0.0), number)


RULES = {  # for the page, which has no other numbers
    "mostCharacters": MOST_CHARACTERS, "mostWords": MOST_WORDS, "number": NUMBER, "group": GROUP,
    "leastEqual": LEAST_EQUAL, "synonym": SYNONYM, "topic": TOPIC, "coverage": COVERAGE,
    "foreign": FOREIGN, "open": OPEN, "synonyms": SYNONYMS, "functionWords": [*FUNCTION_WORDS],
}  # fmt: skip
