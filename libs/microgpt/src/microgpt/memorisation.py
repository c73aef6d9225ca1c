"""How much of what a model makes up it has by heart.

This module knows nothing of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from microgpt.config import TextKind, TrainConfig
from microgpt.tokenizer import Document


@dataclass(frozen=True)
class Nearest:
    """A text that is not in the training data, and what comes nearest to it there.

    Attributes:
        text: the sample.
        document: the nearest training document; of several, the first.
        distance: the characters to insert, delete or replace.
    """

    text: str
    document: str
    distance: int


@dataclass(frozen=True)
class Memorisation:
    """What samples have in common with the training data.

    Attributes:
        n_samples: how many there were.
        n_known: those that are in the training data.
        novel: the others, each once; none where running text was learnt, of which nothing is near.
    """

    n_samples: int
    n_known: int
    novel: tuple[Nearest, ...]


def compare(
    samples: Sequence[str], docs: Sequence[Document], *, text: TextKind = TrainConfig.text
) -> Memorisation:
    """Return what samples have in common with the texts that a model has learnt from.

    Args:
        samples: what the model makes up.
        docs: what it has learnt from.
        text: "stream" if a sample may be anywhere in a text.
    """
    if text == "stream":
        n_known = sum(any(sample in doc for doc in docs) for sample in samples)
        return Memorisation(len(samples), n_known, ())
    asked = set(samples)
    known = {
        doc for doc in docs if isinstance(doc, str) and doc in asked
    }  # not all: maybe millions
    novel = [sample for sample in dict.fromkeys(samples) if sample not in known]
    return Memorisation(
        n_samples=len(samples),
        n_known=sum(sample in known for sample in samples),
        novel=tuple(_nearest(sample, docs) for sample in novel),
    )


def _nearest(sample: str, docs: Sequence[Document]) -> Nearest:
    texts = (doc for doc in docs if isinstance(doc, str))
    found = process.extractOne(sample, texts, scorer=Levenshtein.distance)
    assert found, "a model has learnt from texts if it makes up texts"
    document, distance, _ = found
    return Nearest(sample, document, int(distance))
