"""Match a text with a known question by the words that they share.

Other forms, synonyms and misspellings of a known word also count; a word that only the answer
contains counts less. Rare words weigh more than words of many questions (inverse document
frequency; Spärck Jones 1972). The similarity, from 0 to 1, is the share of the text's weight that
the known question contains. It is slightly lower if the question contains additional words, and
higher if both have much in common.
"""

import math
import operator
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from microgpt import fold

WORD = re.compile(r"\w+(?:['’]\w+)*")  # noqa: RUF001
# Number of characters and words of a text that count; they limit the time for a long one.
MAX_CHARACTERS, MAX_WORDS = 2_000, 64
LEAST_STEM = 3  # minimum number of letters before an ending
ENDINGS = (
    "isation", "ization", "ations", "ation", "ments", "ment", "ions", "ion", "able", "ings", "ing",
    "ies", "ied", "es", "ed", "ers", "er", "s", "e", "ly", "y", "en", "n",
)  # fmt: skip
# Similarity of two words: forms of one word, synonyms, one that begins with the other, and words
# with a typing error, of which at least LEAST_EQUAL (in percent) is the same.
FORM, SYNONYM, BEGINNING, MISSPELLED, LEAST_EQUAL = 0.9, 0.7, 0.7, 0.9, 80
LEAST_BEGINNING = 4  # letters of this beginning
ANSWER = 0.7  # weight of a word that only the answer has
# Weights of function words, of unknown words, and of unknown words that are common in English.
FUNCTION, UNKNOWN, COMMON = 0.15, 0.9, 0.3
COVERAGE = 0.2  # part of the share that depends on the other words of the known question
EVIDENCE = 0.2  # what a rare word that both have adds to the similarity
# English words that say little about what is asked, and others that often stand beside it.
_FUNCTION_WORDS = """
a about all am an and any are aren't as at be been but by can can't could did didn't do does
doesn't don't for from get give go got had has have he hello her here hey hi him his how i i'd
i'll i'm if in into is isn't it it's its just know let like may me might much must my need no not
of on one or our out please shall she should so some tell than thank thanks that the their them
then there these they this those to us use want was we what what's when where which while who why
will with won't would yes you your
"""
_COMMON_WORDS = """
able actually after again already also always another anybody anyone anything around available
away back because before being belong best better between both bring certain come day different
done easy else enough even ever every everything exactly find first good happen help here however
instead interested keep kind last later least left long look lot make many maybe mean month more
most myself never new next nobody nothing now often old once only other own part people perhaps
person place possible probably problem put question quite really reason right same say see seem
several show since somebody someone something sometimes soon start still stop such sure take thing
think though through time today together too try turn two under until up usually very wait way
week well whether whole wish without wonder work year yet
"""
FUNCTION_WORDS, COMMON_WORDS = frozenset(_FUNCTION_WORDS.split()), frozenset(_COMMON_WORDS.split())
_TEXT = Path(__file__).with_name("synonyms.txt").read_text(encoding="utf-8")
SYNONYMS = [line.split() for line in _TEXT.splitlines()]


class Match(NamedTuple):
    """A known question that may match a text."""

    number: int  # of the question, counted from 0
    score: float  # to compare with other matches of the same text
    similarity: float  # from 0 to 1


class Matcher:
    """Finds the known questions that may match a text."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Index known questions and their answers."""
        asked = [words_of(question) for question, _ in pairs]
        said = [words_of(answer) for _, answer in pairs]
        # In the order of the text, so that sums are rounded in the same way each time.
        both = [dict.fromkeys(words) for words in map(operator.add, asked, said)]
        counts = Counter(stem for words in both for stem in set(map(_stem, words)))
        self._unknown = math.log(len(pairs) + 1)
        self._weights = {
            word: self._weighted(word, math.log((len(pairs) + 1) / counts[_stem(word)]))
            for words in both
            for word in words
        }
        self._places: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for i, words in enumerate(both):
            for word in words:
                self._places[word].append((i, 1.0 if word in asked[i] else ANSWER))
        self._sizes = [sum(self._weights[word] for word in dict.fromkeys(words)) for words in asked]
        self._stems: dict[str, list[str]] = defaultdict(list)
        for word in self._weights:
            self._stems[_stem(word)].append(word)
        self._sorted = sorted(self._stems)
        self._synonyms: dict[str, set[str]] = defaultdict(set)
        for line in SYNONYMS:
            group = set(map(_stem, line))
            for stem in group:
                self._synonyms[stem] |= group

    def rank(self, text: str) -> list[Match]:
        """Return the known questions that share words with a text, most similar first."""
        total, scores = 0.0, Counter[int]()
        covered: dict[int, dict[str, float]] = defaultdict(dict)
        for word in list(dict.fromkeys(words_of(text[:MAX_CHARACTERS])))[:MAX_WORDS]:
            found: dict[int, float] = {}
            for known, similarity in self._similar(word).items():
                for i, part in self._places[known]:
                    found[i] = max(found.get(i, 0.0), part * similarity * self._weights[known])
                    if part == 1.0:
                        covered[i][known] = max(covered[i].get(known, 0.0), similarity)
            scores.update(found)
            total += max(found.values(), default=self._unknown_weight(word))
        matches = (self._match(i, score, total, covered[i]) for i, score in scores.items() if score)
        return sorted(matches, key=lambda match: (-match.score, match.number))

    def _match(self, i: int, score: float, total: float, covered: dict[str, float]) -> Match:
        """Return the match of a known question, given the weight of the shared words."""
        # Share of the known question's weight that the text contains.
        weight = sum(self._weights[word] * similarity for word, similarity in covered.items())
        coverage = weight / self._sizes[i] if self._sizes[i] else 0.0
        similarity = score / total * (1 - COVERAGE + COVERAGE * coverage)
        similarity += EVIDENCE * coverage * min(score / self._unknown, 2)  # two rare words at most
        return Match(i, score / (math.sqrt(self._sizes[i]) + 1), min(similarity, 1.0))

    def _similar(self, word: str) -> "Counter[str]":
        """Return the known words that are similar to a word, with their highest similarity."""
        from rapidfuzz import fuzz, process

        stem, found = _stem(word), Counter[str]()
        if word not in FUNCTION_WORDS:
            is_correct = len(stem) <= LEAST_STEM or word in COMMON_WORDS
            known = () if is_correct else self._stems.keys()
            near = process.extract(
                stem, known, scorer=fuzz.ratio, score_cutoff=LEAST_EQUAL, limit=None
            )
            for other, equal, _ in near:
                found |= Counter(dict.fromkeys(self._stems[other], MISSPELLED * equal / 100))
            for other in self._with_same_beginning(stem):
                found |= Counter(dict.fromkeys(self._stems.get(other, ()), BEGINNING))
            for other in self._synonyms.get(stem, ()):
                found |= Counter(dict.fromkeys(self._stems.get(other, ()), SYNONYM))
            found = Counter({each: found[each] for each in found if each not in FUNCTION_WORDS})
        found |= Counter(dict.fromkeys(self._stems.get(stem, ()), FORM))
        return found | Counter({word: 1.0} if word in self._weights else {})

    def _with_same_beginning(self, stem: str) -> Iterator[str]:
        """Yield the beginnings of a stem, and the known stems that begin with it."""
        yield from (stem[:n] for n in range(LEAST_BEGINNING, len(stem)))
        i = bisect_left(self._sorted, stem) if len(stem) >= LEAST_BEGINNING else len(self._sorted)
        while i < len(self._sorted) and self._sorted[i].startswith(stem):
            yield self._sorted[i]
            i += 1

    def _unknown_weight(self, word: str) -> float:
        is_common = word in COMMON_WORDS or _stem(word) in COMMON_WORDS
        return self._weighted(word, (COMMON if is_common else UNKNOWN) * self._unknown)

    def _weighted(self, word: str, weight: float) -> float:
        return FUNCTION * weight if word in FUNCTION_WORDS else weight


def words_of(text: str) -> list[str]:
    """Return the words of a text without case and accents; "e-mail" is one word."""
    return WORD.findall(fold(text).replace("-", ""))


def _stem(word: str) -> str:
    """Return a word without its ending, if the ending is common."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= LEAST_STEM:
            return word.removesuffix(ending)
    return word
