"""Match a message with the asking that it means, by words and by groups of letters.

Rare words weigh more than words of many topics (inverse document frequency; Spärck Jones 1972). A
word also matches a synonym, and one that has many of its groups of three letters, such as another
form or a misspelling; a word that only the reply contains counts less. The similarity, about 0 to
1, is the share of the message's weight that the asking contains. It is lower if the asking has
other words, and higher if both have much in common.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from microgpt import fold

WORD = re.compile(r"\w+(?:['’]\w+)*")  # noqa: RUF001
# Number of characters and words of a message that count; they limit the time for a long one.
MOST_CHARACTERS, MOST_WORDS = 2_000, 64
NUMBER = "0"  # stands for each number that no asking has
GROUP, LEAST_EQUAL = 3, 0.45  # letters of a group; least share of equal groups (Dice 1945)
SYNONYM, REPLY = 0.7, 0.5  # similarity of synonyms; weight of a word that only the reply has
FUNCTION = 0.15  # weight of a function word
COVERAGE, EVIDENCE = 0.2, 0.2  # how much other words of the asking lower, shared rare ones raise
OPEN = 0.8  # least share of the asking's words, if some words of the message may be any


def _lines(name: str) -> list[str]:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()


FUNCTION_WORDS = dict.fromkeys(" ".join(_lines("function_words.txt")).split())
SYNONYMS = [line.split() for line in _lines("synonyms.txt")]


class Asking(NamedTuple):
    """A text that means a topic."""

    text: str
    topic: int
    n_open: int = 0  # number of words of a message that may be any words


class Match(NamedTuple):
    """An asking that a message may mean."""

    asking: int
    similarity: float


class Matcher:
    """Finds the asking that a message means."""

    def __init__(self, askings: tuple[Asking, ...], replies: tuple[str, ...]) -> None:
        """Index askings, and the replies of their topics."""
        self.askings, self.replies = askings, replies
        self._most = math.log(len(replies) + 1)  # weight of a word that is not known
        self._places: dict[str, list[tuple[int, float]]] = defaultdict(list)
        topics: dict[str, set[int]] = defaultdict(set)
        asked, replied = [words_of(each.text) for each in askings], [*map(words_of, replies)]
        for i, asking in enumerate(askings):
            for word in dict.fromkeys([*asked[i], *replied[asking.topic]]):
                self._places[word].append((i, 1.0 if word in asked[i] else REPLY))
                topics[word].add(asking.topic)
        self._weights = {
            word: _weighted(word, math.log((len(replies) + 1) / len(some)))
            for word, some in topics.items()
        }
        self._sizes = [sum(self._weights[word] for word in dict.fromkeys(some)) for some in asked]
        self._with_group: dict[str, list[str]] = defaultdict(list)
        for word in self._weights:
            for group in groups_of(word):
                self._with_group[group].append(word)
        self._synonyms: dict[str, list[str]] = defaultdict(list)
        for line in SYNONYMS:
            for word in line:
                self._synonyms[word] += line

    def rank(self, text: str) -> list[Match]:
        """Return the askings that share words with a text, most similar first."""
        found: list[tuple[float, Mapping[int, float]]] = []  # a word's weight: at most, by asking
        fillers: list[tuple[str, int]] = []  # words that may fill an open slot
        covered: dict[int, dict[str, float]] = defaultdict(dict)
        shared: dict[int, float] = {}
        for word in self._read(text):
            weights: dict[int, float] = {}
            for known, similarity in self._similar(word).items():
                for i, part in self._places[known]:
                    weights[i] = max(weights.get(i, 0.0), part * similarity * self._weights[known])
                    if part == 1.0:
                        covered[i][known] = max(covered[i].get(known, 0.0), similarity)
            for i, weight in weights.items():
                shared[i] = shared.get(i, 0.0) + weight
            if word not in FUNCTION_WORDS:
                fillers.append((word, len(found)))
            found.append((max(weights.values(), default=_weighted(word, self._most)), weights))
        total = sum(most for most, _ in found)
        matches = []
        for i, weight in shared.items():
            n_open = self.askings[i].n_open
            numbers = [n for word, n in fillers if n_open and word not in covered[i]]
            gaps = sorted(found[n][0] - found[n][1].get(i, 0.0) for n in numbers)[-n_open:]
            read = total - sum(gaps)
            if len(gaps) < n_open:
                continue
            matches.append(Match(i, self._similarity(i, weight, read, covered[i])))
        return sorted(matches, key=lambda match: (-match.similarity, match.asking))

    def _similarity(
        self, i: int, shared: float, read: float, covered: Mapping[str, float]
    ) -> float:
        """Return the similarity of an asking, from the weights that it shares and those read."""
        weight = sum(self._weights[word] * similarity for word, similarity in covered.items())
        coverage = weight / self._sizes[i] if self._sizes[i] else 0.0
        if self.askings[i].n_open and coverage < OPEN:
            return 0.0
        share = shared / read * (1 - COVERAGE + COVERAGE * coverage) if read else 0.0
        share += EVIDENCE * coverage * min(shared / self._most, 2)  # two rare words at most
        return math.floor(share * 1e9 + 0.5) / 1e9  # so that JavaScript, too, finds equal ones

    def _read(self, text: str) -> list[str]:
        """Return the different words of a text, with a sign for each unknown number."""
        words = words_of(text[:MOST_CHARACTERS])
        numbers = {word for word in words if word.isdecimal() and word not in self._weights}
        return [*dict.fromkeys(NUMBER if word in numbers else word for word in words)][:MOST_WORDS]

    def _similar(self, word: str) -> Mapping[str, float]:
        """Return the known words that are similar to a word, with their similarity."""
        found = self._forms(word)
        for synonym in () if word in FUNCTION_WORDS else self._synonyms.get(word, ()):
            for known, similarity in self._forms(synonym).items():
                found[known] = max(found.get(known, 0.0), SYNONYM * similarity)
        return found

    def _forms(self, word: str) -> dict[str, float]:
        """Return the known words that have many of a word's groups of letters."""
        found = {}
        groups = () if word in FUNCTION_WORDS else groups_of(word)
        counts = Counter(other for group in groups for other in self._with_group.get(group, ()))
        for other, n in counts.items():
            equal = 2 * n / (len(groups) + len(groups_of(other)))
            if equal >= LEAST_EQUAL and other not in FUNCTION_WORDS:
                found[other] = equal
        return found | ({word: 1.0} if word in self._weights else {})


def words_of(text: str) -> list[str]:
    """Return the words of a text without case and accents; "e-mail" is one word."""
    return WORD.findall(fold(text).replace("-", ""))


def groups_of(word: str) -> Sequence[str]:
    """Return the different groups of letters of a word, whose beginning is marked."""
    marked = f"^{word}"
    return [*dict.fromkeys(marked[i : i + GROUP] for i in range(len(marked) - GROUP + 1))]


def _weighted(word: str, weight: float) -> float:
    return FUNCTION * weight if word in FUNCTION_WORDS else weight


RULES = {  # for the page, which has no other numbers
    "mostCharacters": MOST_CHARACTERS, "mostWords": MOST_WORDS, "number": NUMBER, "group": GROUP,
    "leastEqual": LEAST_EQUAL, "synonym": SYNONYM, "reply": REPLY, "function": FUNCTION,
    "coverage": COVERAGE, "evidence": EVIDENCE, "open": OPEN, "synonyms": SYNONYMS,
    "functionWords": [*FUNCTION_WORDS],
}  # fmt: skip
