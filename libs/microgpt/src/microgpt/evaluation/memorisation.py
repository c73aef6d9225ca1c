"""Memorisation: how many samples of a model are in its training data."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from microgpt.config import TextKind, TrainConfig


class KnownTexts(Container[str]):
    """The samples that a model can have by heart: its training texts, and parts of long ones.

    Example:
        >>> known = KnownTexts(["anna", "emma went away"], room=6)
        >>> [sample in known for sample in ("anna", "ann", "emma w", "emma")]
        [True, False, True, False]
    """

    def __init__(
        self, texts: Sequence[str], *, room: int, text: TextKind = TrainConfig.text
    ) -> None:
        """Take the texts that a model has learnt from.

        Args:
            room: the most tokens that a sample has. One that has so many, and so at least as many
                bytes, was cut off: it is known if it is anywhere in a text.
            text: "stream" if any sample is known that is anywhere in a text.
        """
        self.texts, self.text = texts, text
        self._room = room if text == "lines" else 0
        self._whole = frozenset(texts)
        self._long = "\0".join(each for each in texts if len(each.encode()) > self._room)

    def __contains__(self, sample: object) -> bool:
        """Return whether it is one of the texts, or a part that was cut off, in a character too."""
        if not isinstance(sample, str):
            return False
        if sample in self._whole:
            return True
        part = sample.strip("\ufffd")
        return bool(part) and len(sample.encode()) >= self._room and part in self._long


@dataclass(frozen=True)
class Nearest:
    """A text that is not in the training data, and what comes nearest to it there."""

    text: str  # the sample
    document: str  # the nearest training document; of several, the first
    distance: int  # the characters to insert, delete or replace


@dataclass(frozen=True)
class Memorisation:
    """What samples have in common with the training data."""

    n_samples: int
    n_known: int  # samples that are in the training data
    novel: tuple[Nearest, ...]  # the others, each once; none of a model of running text


def compare(samples: Sequence[str], known: KnownTexts) -> Memorisation:
    """Return what samples have in common with the texts that a model has learnt from."""
    n_known = sum(sample in known for sample in samples)
    if known.text == "stream":
        return Memorisation(len(samples), n_known, ())
    novel = []
    for sample in dict.fromkeys(samples):
        if sample not in known:
            found = process.extractOne(sample, known.texts, scorer=Levenshtein.distance)
            novel.append(Nearest(sample, document=found[0], distance=int(found[1])))
    return Memorisation(len(samples), n_known, tuple(novel))
