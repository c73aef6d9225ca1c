"""How much of what a model makes up it has by heart."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from microgpt.config import TextKind, TrainConfig


class KnownTexts(Container[str]):
    """The samples that a model can have by heart: its training texts, and parts of long ones.

    Attributes:
        texts: what it has learnt from.
        text: whether they are documents or running text.

    Example:
        >>> known = KnownTexts(["anna", "emma went away"], room=6)
        >>> [sample in known for sample in ("anna", "ann", "emma w", "emma")]
        [True, False, True, False]
    """

    def __init__(
        self, texts: Sequence[str], *, room: int, text: TextKind = TrainConfig.text
    ) -> None:
        """Take texts.

        Args:
            texts: what a model has learnt from.
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

    n_samples: int  # how many there were
    n_known: int  # those that are in the training data
    # the others, each once; none where running text was learnt, of which nothing is near
    novel: tuple[Nearest, ...]


def compare(samples: Sequence[str], known: KnownTexts) -> Memorisation:
    """Return what samples have in common with the texts that a model has learnt from."""
    n_known = sum(sample in known for sample in samples)
    if known.text == "stream":
        return Memorisation(len(samples), n_known, ())
    novel = [sample for sample in dict.fromkeys(samples) if sample not in known]
    return Memorisation(
        len(samples), n_known, tuple(_nearest(sample, known.texts) for sample in novel)
    )


def _nearest(sample: str, texts: Sequence[str]) -> Nearest:
    document, distance, _ = process.extractOne(sample, texts, scorer=Levenshtein.distance)
    return Nearest(sample, document, int(distance))
