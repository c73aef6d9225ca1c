"""Random choices of wordings and fillers for questions."""

import hashlib
import random
import re
import string
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
ChatSplit = Literal["train", "basics", "heldout", "wordings"]

HELD_OUT = 0.1  # fraction of the fillers held out from training
BARE = 0.25  # fraction of unseen wordings without their question mark
SHORT = 0.3  # fraction of questions in the first wording, a short one
SHORT_OF_TWO = 0.65  # the same where a message has two questions
BEFORE = 0.12  # fraction of messages that begin with a greeting or the like
AFTER = 0.05  # fraction of messages that end with "please" or the like
EARLY = 2.5  # how much more often early wordings of a list are chosen; 1: all equally often
DISTRACTION = 0.1  # fraction of messages in training with random words before them
REWORDED = 0.02  # fraction of questions in training with a word such as "just", or without one
TYPO = 0.04  # fraction of messages with a typing error
TIGHT = 0.3  # fraction of messages without spaces around operators


@dataclass(frozen=True)
class Exchange:
    """A user message and the expected reply."""

    prompt: str  # user message
    reply: str  # expected reply
    task: str | None  # score category; None if the reply is not scored
    parts: "tuple[Exchange, ...]" = ()  # the questions of a message that asks two


_TEXT = Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8")
PHRASES: dict[str, Any] = tomllib.loads(_TEXT)


def _like_others(phrases: dict[str, Any]) -> dict[str, Any]:
    """Return wordings with their patterns; a pattern may be another wording with words replaced."""
    if "like" not in phrases:
        return phrases
    words, seen = phrases["words"], PHRASES["wordings"][phrases["like"]]["seen"]
    return phrases | {"seen": re.sub(r"\w+", lambda word: words.get(word[0], word[0]), seen)}


PHRASES["wordings"] = {name: _like_others(each) for name, each in PHRASES["wordings"].items()}
# Words of the phrases, other than those to spell and so on: they occur in training.
_SPOKEN = {*re.findall("[a-z]+", _TEXT[: _TEXT.index("[words]")] + _TEXT.partition("[tables]")[2])}
_CHOICE, _SLOT = re.compile(r"\[([^\[\]]*)\]"), re.compile(r"\{\w+\}")
_TIGHT = re.compile(r"(?<=}) ([-+*/x×÷]) (?={)")
_WORD = re.compile(r"(?<!\{)\b[a-z]{4,}\b")
_GAP, _ARTICLE = re.compile(r"(?<=[a-z]) (?=[a-z])"), re.compile(r"\b(the|a|is|do|does|would) ")
_PUNCTUATION = str.maketrans(dict.fromkeys(".,!?:;'", " "))
_FRAME = {name: choices.split("|") for name, choices in PHRASES["frame"].items()}


@dataclass(frozen=True)
class Wordings:
    """Alternative wordings of a question."""

    seen: Sequence[str]  # patterns used in training and for held-out fillers
    unseen: Sequence[str]  # wordings never used in training

    @classmethod
    def from_phrases(cls, phrases: dict[str, Any]) -> "Wordings":
        """Parse an entry of phrases.toml."""
        return cls(patterns(phrases["seen"]), phrases["unseen"])


def patterns(text: str) -> Sequence[str]:
    """Return the patterns of a text, one per line, with the macros replaced."""
    for name, choices in PHRASES["macros"].items():
        text = text.replace(f"<{name}>", f"[{choices}]")
    return text.strip().splitlines()


def normal(text: str) -> str:
    """Return a wording without punctuation, to compare it with others."""
    return " ".join(_SLOT.sub("{}", text).translate(_PUNCTUATION).split())


_UNSEEN = {
    normal(text)
    for phrases in (*PHRASES["wordings"].values(), *PHRASES["small_talk"], PHRASES["outside"])
    for text in phrases["unseen"]
}


@dataclass(frozen=True)
class Fillers(Generic[T]):
    """Values to insert into wordings, split deterministically into seen and held-out values."""

    seen: Sequence[T]
    held_out: Sequence[T]

    @classmethod
    def divide(
        cls,
        fillers: Iterable[T],
        text: Callable[[T], str] = str,
        keep: Callable[[T], bool] = lambda filler: False,
    ) -> "Fillers[T]":
        """Split values by the hashes of their texts.

        Words of the phrases are never held out, nor is a value for which `keep` is true.
        """
        seen: list[T] = []
        held_out: list[T] = []
        for filler in fillers:
            is_kept = keep(filler) or text(filler) in _SPOKEN
            (held_out if is_held_out(text(filler)) and not is_kept else seen).append(filler)
        return cls(seen, held_out)


def is_held_out(text: str) -> bool:
    """Return whether a filler is held out from training.

    As in `data.split`, the result depends only on the sha256 of the text.
    """
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT


# Words before and after messages. Words of the phrases would change a question ("half", "plus").
_RANDOM_WORDS = [
    word for word in Fillers.divide(PHRASES["words"]["common"].split()).seen if word not in _SPOKEN
]


class Draw:
    """Random choices for one split.

    Only `random()` is used, because Python guarantees its reproducibility. A seed gives the same
    conversations on any Python version.
    """

    def __init__(self, split: ChatSplit, seed: int) -> None:
        self.split = split  # determines the available fillers and wordings
        self.told: dict[str, str] = {}  # name and color stated in the current conversation
        self.short = SHORT
        self._rng = random.Random(seed)

    def chance(self, share: float) -> bool:
        """Return True with probability `share`."""
        return self._rng.random() < share

    def pick(self, items: Sequence[T]) -> T:
        """Return a random item."""
        return items[int(self._rng.random() * len(items))]

    def pick_early(self, items: Sequence[T]) -> T:
        """Return a random item; earlier items are more likely."""
        return items[int(self._rng.random() ** EARLY * len(items))]

    def filler(self, fillers: Fillers[T]) -> T:
        """Return a random filler of the split."""
        return self.pick(fillers.held_out if self.split == "heldout" else fillers.seen)

    def ask(self, wordings: Wordings, *fillers: object) -> str:
        """Return a question in a random wording of the split."""
        if self.split == "wordings":
            return self.pick(wordings.unseen).format(*fillers)
        return self.mistype(self.question(wordings)).format(*fillers)

    def question(self, wordings: Wordings) -> str:
        """Return a random wording of the training split, most often the first, which is short."""
        is_short = self.split == "basics" or self.chance(self.short)
        text = self.expand(wordings.seen[: 1 if is_short else None])
        reworded = self._reword(text) if self.split == "train" else text
        return text if normal(reworded) in _UNSEEN else reworded

    def expand(self, patterns: Sequence[str]) -> str:
        """Return a random wording of a random pattern that is not held out."""
        while True:
            text = self.pick_early(patterns)
            while "[" in text:
                text = _CHOICE.sub(lambda found: self.pick_early(_choices(found[1])), text)
            text = " ".join(text.split()).replace(" ,", ",")
            if normal(text) not in _UNSEEN:
                return text

    def _reword(self, text: str) -> str:
        """Sometimes insert a word such as "just", or leave out a word such as "the"."""
        if self.chance(REWORDED) and (gaps := [*_GAP.finditer(text)]):
            at = self.pick(gaps).start()
            text = f"{text[:at]} {self.pick(_FRAME['inside'])}{text[at:]}"
        if self.chance(REWORDED) and (words := [*_ARTICLE.finditer(text)]):
            word = self.pick(words)
            text = text[: word.start()] + text[word.end() :]
        return text

    def mistype(self, text: str) -> str:
        """Sometimes make a typing error in a word of four or more letters, or leave out spaces."""
        if self.split == "basics":
            return text
        if self.chance(TIGHT):
            text = _TIGHT.sub(r"\1", text)
        words = list(_WORD.finditer(text)) if self.chance(TYPO) else []
        if not words:
            return text
        word = self.pick(words)
        i = self.pick(range(word.start(), word.end() - 1))
        a, b = text[i], text[i + 1]
        wrong = self.pick((a, b, b + a, a + a + b, a + self.pick(string.ascii_lowercase)))
        return text[:i] + wrong + text[i + 2 :]

    def dress(self, message: str) -> str:
        """Vary the beginning and the end of a message."""
        if self.split == "basics":
            return message
        if self.split == "wordings":
            return message.removesuffix("?") if self.chance(BARE) else message
        text = message.rstrip(".")
        if self.split == "train":
            text = self._distract(text)
        if self.chance(BEFORE):
            text = self.pick_early(_FRAME["before"]) + self.pick_early(_FRAME["between"]) + text
        if self.chance(AFTER):
            text += self.pick_early(_FRAME["after"])
        text += self.pick_early(_FRAME["statement" if message.endswith(".") else "question"])
        return message if normal(text) in _UNSEEN else text

    def _distract(self, message: str) -> str:
        """Sometimes add random words before or after a message; the model learns to ignore them."""
        if self.chance(DISTRACTION):
            message = self._random_words() + self.pick_early(_FRAME["between"]) + message
        if self.chance(DISTRACTION / 2):
            message += self.pick((", ", " ", ". ")) + self._random_words()
        return message

    def _random_words(self) -> str:
        return " ".join(self.pick(_RANDOM_WORDS) for _ in range(self.pick((1, 1, 2, 2, 3, 4))))


@cache
def _choices(text: str) -> Sequence[str]:
    return text.split("|")
