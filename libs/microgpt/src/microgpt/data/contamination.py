"""Contamination: held-out documents that a parent or a teacher was trained on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from microgpt.data.split import DataFacts, Split, fingerprint, split_again
from microgpt.data.tokenizer import Document

HELD_OUT = ("validation", "test")


class Bounds(NamedTuple):
    """The bounds of a share, of documents or of the characters of a running text."""

    low: float
    high: float  # 1 if other data were read, too, which may contain the same documents

    def __str__(self) -> str:
        """Return the mark of a held-out loss; empty if nothing was read."""
        return f" (contamination {self.text})" if self.high else ""

    @property
    def text(self) -> str:
        """The share in words."""
        at_least = "" if self.low == self.high else "at least "
        return f"{at_least}{100 * self.low:.3g} %" if self.low or not self.high else "unknown"


def contamination(parts: Split, read: Sequence[DataFacts | None]) -> dict[str, Bounds]:
    """Return the share of each held-out set that was read in earlier trainings.

    Args:
        read: the data of these trainings and their splits; None for unknown data.
    """
    same = [each for each in read if each and _is_of(each, parts.facts)]
    if read and (parts.val_fraction or parts.test_fraction):
        parts = split_again(parts.docs, parts.facts)  # a search tests later, and has no test set
    found = {}
    for name in HELD_OUT:
        if read and getattr(parts, name):
            shares = [_share_read(parts, name, each) for each in same]
            high = min(1.0, sum(shares)) if len(same) == len(read) else 1.0
            found[name] = Bounds(max(shares, default=0.0), high)
    return found


def recorded_facts(docs: Sequence[Document], read: Iterable[DataFacts | None]) -> DataFacts | None:
    """Return the facts about these documents in an earlier training, or None."""
    of_same_size = [each for each in read if each and each.n_docs == len(docs)]
    sha256 = fingerprint(docs) if of_same_size else None
    return next((each for each in of_same_size if each.sha256 == sha256), None)


def bounds_of(record: Mapping[str, Any], name: str) -> Bounds | None:
    """Return the contamination of a held-out set in meta.json, or in another record.

    It is unknown if the record names a parent or teachers, but does not contain it.
    """
    try:
        return Bounds(*map(float, record["contamination"][name]))
    except (KeyError, TypeError, ValueError):  # an older version wrote it, or it is damaged
        is_derived = any(record.get(key) for key in ("contamination", "parent_sha256", "teachers"))
        return Bounds(0.0, 1.0) if is_derived else None


def _is_of(facts: DataFacts, data: DataFacts) -> bool:
    return (facts.n_docs, facts.sha256) == (data.n_docs, data.sha256)


def _share_read(parts: Split, name: str, facts: DataFacts) -> float:
    """Return the share of a held-out set that another split trained on.

    For the test set, its validation set counts, too, because the weights were chosen by it.
    """

    def used(earlier: Split) -> Sequence[Any]:
        return (*earlier.train, *(earlier.validation if name == "test" else ()))

    if not parts.holdout:
        known = {*used(split_again(parts.docs, facts))}
        docs = getattr(parts, name)
        return sum(doc in known for doc in docs) / len(docs)
    positions: Any = range(len(cast("str", parts.docs[0])))  # a slice of them is a range
    own: Sequence[range] = getattr(split_again([positions], parts.facts), name)
    others = used(split_again([positions], facts))
    common = (range(max(a.start, b.start), min(a.stop, b.stop)) for a in own for b in others)
    return sum(map(len, common)) / sum(map(len, own))
