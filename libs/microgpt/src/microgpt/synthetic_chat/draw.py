"""Random choices of wordings and fillers for questions."""

import hashlib
import random
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
ChatSplit = Literal["train", "heldout", "wordings"]

HELD_OUT = 0.1  # fraction of the fillers held out from training
BARE = 0.25  # fraction of questions without a question mark, because many users omit it


@dataclass(frozen=True)
class Exchange:
    """A user message and the expected reply."""

    prompt: str  # user message
    reply: str  # expected reply
    task: str | None  # score category; None if the reply is not scored


PHRASES: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Wordings:
    """Alternative wordings of a question."""

    seen: Sequence[str]  # wordings used in training and for held-out fillers
    unseen: Sequence[str]  # wordings never used in training


@dataclass(frozen=True)
class Fillers(Generic[T]):
    """Values to insert into wordings, split deterministically into seen and held-out values."""

    seen: Sequence[T]
    held_out: Sequence[T]

    @classmethod
    def of(cls, fillers: Iterable[T], text: Callable[[T], str] = str) -> "Fillers[T]":
        """Return the fillers, split by the hash of their text."""
        seen: list[T] = []
        held_out: list[T] = []
        for filler in fillers:
            (held_out if is_held_out(text(filler)) else seen).append(filler)
        return cls(seen, held_out)


def is_held_out(text: str) -> bool:
    """Return whether a filler is held out from training.

    As in `data.split`, the result depends only on the sha256 of the text.
    """
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT


class Draw:
    """Random choices for one split.

    Only `random()` is used, because Python guarantees its reproducibility. A seed gives the same
    conversations on any Python version.
    """

    def __init__(self, split: ChatSplit, seed: int) -> None:
        self.split = split  # determines the available fillers and wordings
        self._rng = random.Random(seed)

    def chance(self, share: float) -> bool:
        """Return True with probability `share`."""
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
        """Drop the question mark with probability `BARE`."""
        return question.removesuffix("?") if self.chance(BARE) else question
