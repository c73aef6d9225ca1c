"""Contamination: the share of evaluated documents that a model or its ancestors have read."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from microgpt.data.split import (
    HELD_OUT,
    DataFacts,
    Split,
    fingerprint,
    split_again,
)
from microgpt.data.tokenizer import Document


def contamination(parts: Split, read: Sequence[DataFacts | None]) -> dict[str, float | None]:
    """Return the share of each held-out set that was read in training; None if it is unknown.

    It is a share of the texts, of the replies in conversations or of the characters of running
    text. There is none if nothing was read.

    Args:
        read: the data of earlier training runs and their splits; None for unknown data.
    """
    again = parts if parts.has_own_sets else split_again(parts.docs, parts.facts)
    if not read:
        repeated = {**again.repeated, **parts.repeated}  # a search tests later
        return {**repeated} if any(repeated.values()) else {}
    same = _on_same(parts.docs, read)
    is_like_earlier = {*same} <= {parts.facts}
    found: dict[str, float | None] = {}
    for name in HELD_OUT:
        # A search tests later, and has no test set.
        if docs := getattr(parts, name) or getattr(again, name):
            others = chain(parts.read_before(name), _read(parts.docs, same, name))
            share = parts.repetition(docs, others) if len(same) == len(read) else None
            # A short overlap of stretches of running text is not found.
            is_sure = share or is_like_earlier or not parts.is_stream
            found[name] = share if is_sure else None
    return found


def trained_share(docs: Sequence[Document], read: Sequence[DataFacts | None]) -> float | None:
    """Return the share of documents that is training data of a model; None if it is unknown.

    Args:
        read: the training data of the model and of its ancestors; None for unknown data.
    """
    same = _on_same(docs, read)
    if len(same) < len(read):
        return None
    return Split(docs, docs).repetition(docs, _read(docs, same, "train"))


def mark(share: float | None) -> str:
    """Return the mark of a figure on documents of which this share was read; empty if none was."""
    if share == 0:
        return ""
    return f" (contamination {'unknown' if share is None else f'{100 * share:.3g} %'})"


def describe_read(found: Mapping[str, float | None]) -> str:
    """Return a note on the held-out sets that were read; empty if none was."""
    marks = ", ".join(f"{name}{mark(share)}" for name, share in found.items() if share != 0)
    return marks and f"held-out data was read in training, so its losses are too low: {marks}"


def recorded_share(record: Mapping[str, Any], name: str) -> float | None:
    """Return the contamination of a held-out set from meta.json or another record.

    It is unknown if the record names a parent or teachers, but has no share.
    """
    try:
        return as_share(record["contamination"][name])
    except (KeyError, TypeError):
        of_derived = "contamination", "ancestor_data", "parent_sha256", "teachers"
        return None if any(record.get(key) for key in of_derived) else 0.0


def as_share(value: Any) -> float | None:
    """Return a recorded share; earlier versions recorded its lowest and highest possible value."""
    low, high = value if isinstance(value, list) and len(value) == 2 else (value, value)
    is_share = isinstance(low, int | float) and low == high and 0 <= low <= 1
    return float(low) if is_share else None


def recorded_facts(docs: Sequence[Document], read: Iterable[DataFacts | None]) -> DataFacts | None:
    """Return the recorded facts about these documents in an earlier training run, or None."""
    return next(iter(_on_same(docs, read)), None)


def trained_documents(
    docs: Sequence[Document], read: Iterable[DataFacts | None], name: str = "train"
) -> Sequence[Document]:
    """Return what these runs have read of documents or of a text before a set is evaluated."""
    return [*dict.fromkeys(_read(docs, _on_same(docs, read), name))]


def other_data(data: DataFacts | None, read: Iterable[DataFacts | None]) -> str:
    """Return a remark on ancestors that were trained on other data; empty if there are none."""
    own = data and (data.n_docs, data.sha256)
    is_same = all(own and each and (each.n_docs, each.sha256) == own for each in read)
    return "" if is_same else "without other data of its parent or teacher"


def _read(docs: Sequence[Document], runs: Sequence[DataFacts], name: str) -> Iterable[Document]:
    """Return what these runs have read before a held-out set is evaluated."""
    return chain.from_iterable(split_again(docs, facts).read_before(name) for facts in runs)


def _on_same(docs: Sequence[Document], read: Iterable[DataFacts | None]) -> list[DataFacts]:
    """Return the recorded facts of the training runs that used these documents."""
    of_same_size = [each for each in read if each and each.n_docs == len(docs)]
    sha256 = fingerprint(docs) if of_same_size else None
    return [each for each in of_same_size if each.sha256 == sha256]
