"""Draw an exchange: a question in one of its wordings, and its answer."""

import hashlib
import random
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
ChatSplit = Literal["train", "heldout", "wordings"]

HELD_OUT = 0.1  # share of the fillers that training never sees
BARE = 0.25  # share of the questions without a question mark, as many people type


@dataclass(frozen=True)
class Exchange:
    """A user message and its reply."""

    prompt: str  # the user message
    reply: str  # the expected reply
    task: str | None  # the category of its score; None if the reply is not scored


PHRASES: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Wordings:
    """Alternative wordings of a question."""

    seen: Sequence[str]  # of training, and of questions with held-out fillers
    unseen: Sequence[str]  # never in training


@dataclass(frozen=True)
class Fillers(Generic[T]):
    """Words to fill into a wording, split into two parts independent of any seed."""

    seen: Sequence[T]
    held_out: Sequence[T]

    @classmethod
    def of(cls, fillers: Iterable[T], text: Callable[[T], str] = str) -> "Fillers[T]":
        """Split fillers by the hash of their texts."""
        seen: list[T] = []
        held_out: list[T] = []
        for filler in fillers:
            (held_out if is_held_out(text(filler)) else seen).append(filler)
        return cls(seen, held_out)


def is_held_out(text: str) -> bool:
    """Return whether a filler is held out from training.

    As in `data.split`, this depends only on its sha256.
    """
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT


class Draw:
    """Random choices for one split.

    They use only `random()`, the one method that Python promises to keep stable, so a seed gives
    the same bytes everywhere.
    """

    def __init__(self, split: ChatSplit, seed: int) -> None:
        self.split = split  # selects the fillers and wordings
        self._rng = random.Random(seed)

    def chance(self, share: float) -> bool:
        """Return True with this probability."""
        return self._rng.random() < share

    def pick(self, items: Sequence[T]) -> T:
        """Return a random item."""
        return items[int(self._rng.random() * len(items))]

    def filler(self, fillers: Fillers[T]) -> T:
        """Return a random filler of the split."""
        return self.pick(fillers.held_out if self.split == "heldout" else fillers.seen)

    def ask(self, wordings: Wordings, *fillers: object) -> str:
        """Return a question in a random wording of the split."""
        wording = self.pick(wordings.unseen if self.split == "wordings" else wordings.seen)
        return self.vary_question_mark(wording.format(*fillers))

    def vary_question_mark(self, question: str) -> str:
        """Drop the question mark from some of the questions."""
        return question.removesuffix("?") if self.chance(BARE) else question
