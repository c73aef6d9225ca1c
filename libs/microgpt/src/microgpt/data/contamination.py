"""Contamination: evaluated documents that are training data of a model or of its ancestors."""

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

from microgpt.data.folding import folded
from microgpt.data.split import DataFacts, Split, document_parts, fingerprint, split_again
from microgpt.data.tokenizer import Document, Tokenizer, count_characters

HELD_OUT = ("validation", "test")
PIECE = 50  # number of characters of running text that are compared at once
N_PIECES = 400  # a piece is found in a text of a million characters in a millisecond


class Bounds(NamedTuple):
    """Bounds of a share of documents, or of the characters of running text."""

    low: float
    high: float  # 1 if there are other training data, which may contain the same documents

    def __str__(self) -> str:
        """Return the mark of a held-out loss; empty if no document is training data."""
        return f" (contamination {self.text})" if self.high else ""

    @property
    def text(self) -> str:
        """The share as text, such as "at least 60 %"."""
        at_least = "" if self.low == self.high else "at least "
        return f"{at_least}{100 * self.low:.3g} %" if self.low or not self.high else "unknown"


def contamination(
    parts: Split, read: Sequence[DataFacts | None], tokenizer: Tokenizer | None = None
) -> dict[str, Bounds]:
    """Return the share of each held-out set that is training data of earlier training runs.

    If the tokenizer folds case and accents, documents that differ from the training data only in
    case and accents also count.

    Args:
        read: the data of these training runs and their splits; None for unknown data.
    """
    same, found = _on_same(parts.docs, read), dict[str, Bounds]()
    is_again = read and not parts.has_own_sets
    again = split_again(parts.docs, parts.facts) if is_again else parts
    all_docs = {*parts.docs} if read else set()
    folds = bool(tokenizer and tokenizer.folds)
    for name in HELD_OUT:
        # A search tests later, and has no test set.
        docs = getattr(parts, name) or getattr(again, name)
        if parts.facts.gap is not None:
            is_known = [*docs] == [*getattr(again, name)]
        else:
            is_known = all_docs.issuperset(docs)
        if read and docs:
            shares = [_share_read(parts, name, docs, each, folds) for each in same if is_known]
            high = min(1.0, sum(shares)) if len(shares) == len(read) else 1.0
            found[name] = Bounds(max(shares, default=0.0), high)
        if docs and (share := _share_of_own(parts, docs, folds=folds)):
            low, high = found.get(name, (0.0, 0.0))
            found[name] = Bounds(max(low, share), min(1.0, high + share))
    return found


def recorded_facts(docs: Sequence[Document], read: Iterable[DataFacts | None]) -> DataFacts | None:
    """Return the recorded facts about these documents in an earlier training run, or None."""
    return next(iter(_on_same(docs, read)), None)


def trained_documents(
    docs: Sequence[Document], read: Iterable[DataFacts | None], *, validated: bool = False
) -> Sequence[Document]:
    """Return the documents, or stretches of running text, that these training runs have read.

    Args:
        validated: also return the validation documents, by which the weights were chosen.
    """
    parts = [
        (*each.train, *each.validation) if validated else each.train
        for each in (split_again(docs, facts) for facts in _on_same(docs, read))
    ]
    return parts[0] if len(parts) == 1 else [*dict.fromkeys(chain.from_iterable(parts))]


def trained_share(
    docs: Sequence[Document], read: Sequence[DataFacts | None], known: Container[Document] | None
) -> Bounds:
    """Return the share of the characters that is training data of a model.

    Args:
        read: the training data of the model and of its ancestors; None for unknown data.
        known: the part of the model's data that it and its ancestors have read; None if unknown.
    """
    same, own = _on_same(docs, read), read[0]
    n_characters = max(1, sum(map(count_characters, docs)))
    if any(each.gap is not None for each in same):
        stretches = chain.from_iterable(split_again(_positions(docs), each).train for each in same)
        low = len(set(chain.from_iterable(stretches))) / n_characters
    else:
        others, read_docs = () if known is None else known, trained_documents(docs, same)
        trained = {part for doc in read_docs for part in (doc, *document_parts(doc))}

        def is_read(doc: Document) -> bool:
            lines = document_parts(doc) if isinstance(doc, str) else ()
            return doc in trained or doc in others or (bool(lines) and trained.issuperset(lines))

        n_read = sum(count_characters(doc) for doc in docs if is_read(doc))
        low = n_read / n_characters
    are_all = all(each in same or (known is not None and _are_same(each, own)) for each in read)
    return Bounds(low, low if are_all else 1.0)


def repeated_share(held_out: Sequence[Document], read: Sequence[Document]) -> float:
    """Return the share of held-out running text that also occurs in the training text.

    Pieces of PIECE characters are compared, at up to N_PIECES places.
    """
    text = "\n".join(doc for doc in read if isinstance(doc, str))
    texts = [doc for doc in held_out if isinstance(doc, str)]
    pieces = [doc[at : at + PIECE] for doc in texts for at in range(0, len(doc), PIECE)]
    pieces = pieces[:: 1 + len(pieces) // N_PIECES]
    return sum(piece in text for piece in pieces) / max(1, len(pieces))


def bounds_of(record: Mapping[str, Any], name: str) -> Bounds | None:
    """Return the contamination of a held-out set from meta.json or another record.

    If the record names a parent or teachers but has no bounds, any share is possible.
    """
    try:
        low, high = map(float, record["contamination"][name])
        if not 0 <= low <= high <= 1:
            raise ValueError
        return Bounds(low, high)
    except (KeyError, TypeError, ValueError):  # there is no record, or it is damaged
        of_derived = "contamination", "ancestor_data", "parent_sha256", "teachers"
        is_derived = any(record.get(key) for key in of_derived)
        return Bounds(0.0, 1.0) if is_derived else None


def other_data(data: DataFacts | None, read: Iterable[DataFacts | None]) -> str:
    """Return a remark on ancestors that were trained on other data; empty if there are none."""
    are_same = all(_are_same(each, data) for each in read)
    return "" if are_same else "without other data of its parent or teacher"


def _share_of_own(parts: Split, docs: Sequence[Document], *, folds: bool) -> float:
    """Return the share of held-out documents that are training documents of the same split.

    The share can exceed 0 if the tokenizer folds case and accents, or the user made the split.
    """
    if not (folds or parts.has_own_sets):
        return 0.0
    if len(parts.docs) == 1 and parts.has_own_sets:  # running text
        return repeated_share(docs, parts.train)
    return _share_in(parts.train, docs, folds=folds)


def _share_in(read: Sequence[Document], docs: Sequence[Document], *, folds: bool) -> float:
    """Return the share of documents that are training data; folding ignores case and accents."""
    if folds:
        read, docs = [*map(folded, read)], [*map(folded, docs)]
    known = {*read}
    return sum(doc in known for doc in docs) / len(docs)


def _on_same(docs: Sequence[Document], read: Iterable[DataFacts | None]) -> list[DataFacts]:
    """Return the recorded facts of the training runs that used these documents."""
    of_same_size = [each for each in read if each and each.n_docs == len(docs)]
    sha256 = fingerprint(docs) if of_same_size else None
    return [each for each in of_same_size if each.sha256 == sha256]


def _are_same(one: DataFacts | None, other: DataFacts | None) -> bool:
    """Return whether two runs used the same documents; lines of a text differ from running text."""
    return bool(one and other and (one.n_docs, one.sha256) == (other.n_docs, other.sha256))


def _positions(docs: Sequence[Document]) -> Any:
    """Return the positions of a running text as a range; slicing it gives a range again."""
    return [range(len(cast("str", docs[0])))]


def _share_read(
    parts: Split, name: str, docs: Sequence[Document], facts: DataFacts, folds: bool
) -> float:
    """Return the share of a held-out set of these documents that a different split trained on.

    For the test set, the other validation set also counts, because the weights were chosen by it.
    """

    def used(earlier: Split) -> Sequence[Any]:
        return (*earlier.train, *(earlier.validation if name == "test" else ()))

    if facts == parts.facts:  # its sets have no document in common; see `_share_of_own`
        return 0.0
    if parts.facts.gap is None:
        return _share_in(used(split_again(parts.docs, facts)), docs, folds=folds)
    positions = _positions(parts.docs)
    own: Sequence[range] = getattr(split_again(positions, parts.facts), name)
    others = used(split_again(positions, facts))
    common = (range(max(a.start, b.start), min(a.stop, b.stop)) for a in own for b in others)
    return sum(map(len, common)) / sum(map(len, own))
