"""Contamination: the fraction of evaluated documents that a model or an ancestor used in training.

Hashes of the training documents are saved with a model; they identify copies among its samples.
"""

import re
import struct
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from zlib import crc32

from microgpt.config import TextKind
from microgpt.data.folding import plain
from microgpt.data.split import HELD_OUT, DataFacts, Split, as_line, fingerprint, split_again
from microgpt.data.tokenizer import Document, Message

PIECE, HALF = 50, 25  # characters per piece of running text, and per indexed substring of a piece
HASH_BYTES, MAX_HASHES = 4, 2**20
Shares = dict[str, float | None]  # fraction of each held-out set used in training; None if unknown
Facts = Sequence[DataFacts | None]  # data of earlier training runs; None if unknown


def contamination(sets: Split, runs: Facts, text: TextKind = "lines") -> Shares:
    """Return the fraction of each held-out set that was used in training.

    Documents are counted; for running text or a single document, characters are counted.
    The result is empty if no held-out text was used and there are no earlier runs.
    """
    is_stream, key = text == "stream" or len(sets.docs) == 1, ("contamination", text, *runs)
    return dict(sets.once(key, lambda: _contamination(sets, runs, is_stream)))


def _contamination(sets: Split, runs: Facts, is_stream: bool) -> Shares:
    same = recorded_facts(sets.docs, runs)
    # Short overlaps of running text are not found: 0 becomes None unless all runs used this split.
    finds_all = not is_stream or {*same} <= {sets.facts}
    found: Shares = {}
    for name in HELD_OUT:
        # `sets` can lack its test set, which a hyperparameter search splits off only at the end.
        if docs := getattr(sets, name) or getattr(split_again(sets.docs, sets.facts), name):
            others = chain(sets.read_before(name), _read(sets.docs, same, name))
            share = _share(docs, others, is_stream) if len(same) == len(runs) else None
            found[name] = share if share or finds_all else None
    return found if runs or any(found.values()) else {}


def trained_share(
    docs: Sequence[Document],
    runs: Facts,
    own_docs: Sequence[Document] = (),
    *,
    is_stream: bool = False,
) -> float | None:
    """Return the fraction of docs that a model or an ancestor used in training; None if unknown.

    `own_docs` are the model's own training documents, if they are known. `is_stream` says whether
    `docs` or `own_docs` are running text.
    """
    same = recorded_facts(docs, runs)
    if len(same) == len(runs):
        is_stream = is_stream or any(each.gap is not None for each in same)
        return _share(docs, _read(docs, same, "train"), is_stream)
    return _share(docs, own_docs, is_stream) if own_docs and len(runs) == 1 else None


def mark(share: float | None) -> str:
    """Format a fraction to print beside a loss, such as " (contamination 3 %)"; "" for 0."""
    if share == 0:
        return ""
    return f" (contamination {'unknown' if share is None else f'{100 * share:.3g} %'})"


def describe_read(found: Mapping[str, float | None]) -> str:
    """Return a note on the held-out sets that were used in training; "" if none was."""
    marks = ", ".join(f"{name}{mark(share)}" for name, share in found.items() if share != 0)
    marks += "; see microgpt eval PARENT --data FILE" * (None in found.values())
    was, are = ("was", "are") if any(found.values()) else ("may have been", "may be")
    return marks and f"held-out data {was} used in training, so its losses {are} too low: {marks}"


def trained_documents(docs: Sequence[Document], read: Iterable[DataFacts | None]) -> list[Document]:
    """Return the documents, or passages of running text, that earlier training runs used."""
    return [*dict.fromkeys(_read(docs, recorded_facts(docs, read), "train"))]


def other_data(data: DataFacts | None, read: Iterable[DataFacts | None]) -> str:
    """Return a note that other data of ancestors is not counted; "" if all of them used `data`."""
    facts = data and (data.n_docs, data.sha256)
    is_same = all(facts and each and (each.n_docs, each.sha256) == facts for each in read)
    return "" if is_same else "without other data of its parent or teacher"


def form(doc: Document) -> str:
    """Return a document in normalized form: lower case, no accents, single spaces."""
    if isinstance(doc, str):
        return plain(doc)
    return as_line([Message(one.role, plain(one.content)) for one in doc])


def read_forms(docs: Iterable[Document]) -> Iterator[str]:
    """Yield the normalized form of each document, and of each line of a text of several lines."""
    for doc in docs:
        yield form(doc)
        if isinstance(doc, str) and "\n" in doc:
            yield from map(plain, doc.split("\n"))


def known_share(docs: Sequence[Document], read: Container[str]) -> float:
    """Return the fraction of docs whose normalized form, or that of each line, is in `read`."""
    return sum(_is_known(doc, read) for doc in docs) / max(1, len(docs))


def _is_known(doc: Document, read: Container[str]) -> bool:
    lines = [line for line in doc.split("\n") if line.strip()] if isinstance(doc, str) else []
    return form(doc) in read or (bool(lines) and all(plain(line) in read for line in lines))


def _share(docs: Sequence[Document], read: Iterable[Document], is_stream: bool) -> float:
    """Return the fraction of documents, or of pieces of running text, that occur in `read`."""
    if not is_stream:
        return known_share(docs, {*read_forms(docs)}.intersection(read_forms(read)))
    text = " ".join(plain(as_line(doc)) for doc in dict.fromkeys(read))
    lines = (plain(as_line(doc)) for doc in docs)
    pieces = [p for line in lines for p in re.findall(f".{{{PIECE}}}", line) or [line]]
    found = {piece for piece in {*pieces} if len(piece) < PIECE and piece in text}
    having = defaultdict[str, set[str]](set)
    for piece in pieces:
        for i in range(HALF):  # one of these starts at a multiple of HALF in any copy of the piece
            having[piece[i : i + HALF]].add(piece)
    for start in range(0, len(text), HALF):
        for piece in having.get(text[start : start + HALF], ()):
            if piece in text[max(0, start - HALF) : start + PIECE]:
                found.add(piece)
    return sum(piece in found for piece in pieces) / max(1, len(pieces))


def _read(docs: Sequence[Document], runs: Sequence[DataFacts], name: str) -> Iterable[Document]:
    """Return the documents that training runs used before they evaluated the set `name`."""
    return chain.from_iterable(split_again(docs, facts).read_before(name) for facts in runs)


def recorded_facts(docs: Sequence[Document], read: Iterable[DataFacts | None]) -> list[DataFacts]:
    """Return the `DataFacts` of the training runs that used exactly the documents `docs`."""
    of_same_size = [each for each in read if each and each.n_docs == len(docs)]
    sha256 = fingerprint(docs) if of_same_size else None
    return [each for each in of_same_size if each.sha256 == sha256]


class DocumentHashes(Container[str]):
    """A set of documents, stored only as the CRC-32 of each of their `read_forms`.

    The probability that another text is mistaken for one of n documents is n / 2³².
    """

    def __init__(self, content: bytes) -> None:
        """Read the content of documents.crc32: 32-bit integers, little-endian."""
        self._hashes = frozenset(struct.unpack_from(f"<{len(content) // HASH_BYTES}I", content))

    def __contains__(self, text: object) -> bool:
        """Return whether a text or the `form` of a conversation is a document or a line of one."""
        return isinstance(text, str) and _hash(plain(text)) in self._hashes


def hashes_file(docs: Sequence[Document], text: TextKind) -> bytes | None:
    """Return the content of documents.crc32; None for running text, no documents or too many."""
    if text == "stream" or not 0 < len(docs) <= MAX_HASHES:
        return None
    hashes = sorted({*map(_hash, read_forms(docs))})
    return struct.pack(f"<{len(hashes)}I", *hashes) if len(hashes) <= MAX_HASHES else None


def _hash(form: str) -> int:
    return crc32(form.encode("utf-8", "surrogatepass"))
