"""Draw an exchange: a question in one of its wordings, and its only right answer."""

import hashlib
import random
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
ChatSplit = Literal["train", "heldout", "wordings"]

HELD_OUT = 0.1  # the share of the fillers that training never sees
BARE = 0.25  # the share of the questions without their question mark: many people type so


@dataclass(frozen=True)
class Exchange:
    """One message of the user and the reply."""

    prompt: str  # what the user says
    reply: str  # the only right answer
    task: str | None  # what an exact answer is counted under; None where the reply is not scored


PHRASES: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Wordings:
    """Ways to ask for the same."""

    seen: Sequence[str]  # those of training, and of what is held out by its fillers
    unseen: Sequence[str]  # those that training never sees


@dataclass(frozen=True)
class Fillers(Generic[T]):
    """What a wording can be filled with, in two parts that do not depend on any seed."""

    seen: Sequence[T]
    held_out: Sequence[T]

    @classmethod
    def of(cls, fillers: Iterable[T], text: Callable[[T], str] = str) -> "Fillers[T]":
        """Part fillers by the hash of the text of each."""
        seen: list[T] = []
        held_out: list[T] = []
        for filler in fillers:
            (held_out if is_held_out(text(filler)) else seen).append(filler)
        return cls(seen, held_out)


def is_held_out(text: str) -> bool:
    """Return whether training must never see a filler.

    It is placed as the documents of a text file are (`data.split`): by its sha256 alone.
    """
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT


class Draw:
    """Random choices for one split.

    They use `random()` alone, the one method of a generator that Python promises to keep: the same
    seed gives the same bytes everywhere.
    """

    def __init__(self, split: ChatSplit, seed: int) -> None:
        self.split = split  # which fillers and wordings may be drawn
        self._rng = random.Random(seed)

    def chance(self, share: float) -> bool:
        """Return True with this probability."""
        return self._rng.random() < share

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[int(self._rng.random() * len(items))]

    def filler(self, fillers: Fillers[T]) -> T:
        """Return one of the fillers that the split may see."""
        return self.pick(fillers.held_out if self.split == "heldout" else fillers.seen)

    def ask(self, wordings: Wordings, *fillers: object) -> str:
        """Return a question in one of the wordings that the split may use."""
        wording = self.pick(wordings.unseen if self.split == "wordings" else wordings.seen)
        return self.spoken(wording.format(*fillers))

    def spoken(self, question: str) -> str:
        """Return a question as it may be typed: with its question mark, or without."""
        return question.removesuffix("?") if self.chance(BARE) else question
