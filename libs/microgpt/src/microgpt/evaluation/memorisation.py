"""Count samples that are copies of training data."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from microgpt.config import TextKind, TrainConfig


class KnownTexts(Container[str]):
    """A container of the training texts of a model, including parts of long texts.

    Examples:
        >>> known = KnownTexts(["anna", "emma went away"], room=6)
        >>> [sample in known for sample in ("anna", "ann", "emma w", "emma")]
        [True, False, True, False]
    """

    def __init__(
        self, texts: Sequence[str], *, room: int, text: TextKind = TrainConfig.text
    ) -> None:
        """Index the training texts of a model.

        Args:
            room: maximum number of tokens in a sample. A sample of at least `room` bytes may be
                truncated. Such a sample counts as known if it is a substring of a text.
            text: "stream" if every substring of a text counts as known.
        """
        self.texts, self.text = texts, text
        self._room = room if text == "lines" else 0
        self._whole = frozenset(texts)
        self._long = "\0".join(each for each in texts if len(each.encode()) > self._room)

    def __contains__(self, sample: object) -> bool:
        """Return whether a sample is a training text or a truncated part of a training text."""
        if not isinstance(sample, str):
            return False
        if sample in self._whole:
            return True
        part = sample.strip("\ufffd")
        return bool(part) and len(sample.encode()) >= self._room and part in self._long


@dataclass(frozen=True)
class Nearest:
    """A novel sample and the most similar training document."""

    text: str  # text of the sample
    document: str  # nearest training document; the first one if there are several
    distance: int  # Levenshtein distance in characters


@dataclass(frozen=True)
class Memorisation:
    """The number of known samples, and the novel samples."""

    n_samples: int
    n_known: int  # number of samples that are in the training data
    novel: tuple[Nearest, ...] = ()  # distinct novel samples, if requested; empty for running text


def compare(samples: Sequence[str], known: KnownTexts, *, nearest: bool = True) -> Memorisation:
    """Count known samples; if `nearest`, find the document most similar to each novel sample."""
    n_known = sum(sample in known for sample in samples)
    if known.text == "stream" or not nearest:
        return Memorisation(len(samples), n_known)
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    novel = []
    for sample in dict.fromkeys(samples):
        if sample not in known:
            found = process.extractOne(sample, known.texts, scorer=Levenshtein.distance)
            novel.append(Nearest(sample, document=found[0], distance=int(found[1])))
    return Memorisation(len(samples), n_known, tuple(novel))
