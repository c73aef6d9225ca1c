"""Hashes of the training documents, stored with a model to recognise copies in its samples.

The file contains the CRC-32 of each document, of each line of a document of several lines and of
the beginnings of each conversation, as `microgpt.data.split.forms` returns them, without
duplicates, as 32-bit little-endian integers in ascending order. A text that is not among n
documents is mistaken for one with a probability of n / 2³².
"""

import hashlib
import struct
from array import array
from bisect import bisect_left
from collections.abc import Container, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Self
from zlib import crc32

from microgpt.config import DOCUMENT_HASHES, TextKind
from microgpt.data.contamination import other_data
from microgpt.data.folding import plain
from microgpt.data.split import MAX_BEGINNING, as_line, forms
from microgpt.data.tokenizer import Document
from microgpt.files.atomic_files import committed_path, read_committed
from microgpt.storage.saved_model import SavedModel

MAX_DOCUMENTS = 2**20
WORD = 4  # bytes per hash


class DocumentHashes(Container[str]):
    """A set of documents, stored only as hashes.

    Example:
        >>> known = DocumentHashes.of(["anna", "emma"])
        >>> "Anna" in known, "ann" in known
        (True, False)
    """

    def __init__(self, hashes: Iterable[int]) -> None:
        self._hashes = array("I", hashes)

    @classmethod
    def of(cls, docs: Sequence[Document]) -> Self:
        """Return the hashes of some documents and of their parts."""
        long = (doc for doc in docs if isinstance(doc, str) and "\n" in doc)
        lines = (line for doc in long for line in doc.split("\n"))
        parts = (form for doc in chain(docs, lines) for form in forms(doc))
        return cls(sorted(set(map(_hash, parts))))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Decode the content of documents.crc32."""
        return cls(struct.unpack_from(f"<{len(content) // WORD}I", content))

    def encode(self) -> bytes:
        """Return the content of documents.crc32."""
        return struct.pack(f"<{len(self._hashes)}I", *self._hashes)

    def __contains__(self, text: object) -> bool:
        """Return whether a text, or a form of a conversation, is a document or a part of one."""
        # Earlier versions stored documents as they are.
        return isinstance(text, str) and any(map(self._has, (text, plain(text))))

    def share_of(self, docs: Iterable[Document]) -> float:
        """Return the share of texts, or of replies in conversations, that are known."""
        known = [self._knows(part) for doc in docs for part in parts_of(doc)]
        return sum(known) / max(1, len(known))

    def _knows(self, part: Document) -> bool:
        """Return whether a text, all its lines or the beginning of a conversation are known."""
        if not isinstance(part, str):  # earlier versions stored conversations as they are
            return forms(part)[-1] in self or self._has(as_line(part))
        lines = [line for line in part.split("\n") if line.strip()] if "\n" in part else []
        return part in self or (bool(lines) and all(line in self for line in lines))

    def _has(self, form: str) -> bool:
        place = bisect_left(self._hashes, wanted := _hash(form))
        return place < len(self._hashes) and self._hashes[place] == wanted


def hashes_file(docs: Sequence[Document], text: TextKind) -> bytes | None:
    """Return the file for the training documents of a model.

    Return None for running text and more than a million documents.
    """
    if text == "stream" or not 0 < len(docs) <= MAX_DOCUMENTS:
        return None
    content = DocumentHashes.of(docs).encode()
    return content if len(content) <= WORD * MAX_DOCUMENTS else None


def read_document_hashes(directory: Path, saved: SavedModel) -> DocumentHashes | None:
    """Return the hashes of all data of a model and its ancestors, or None if some are unknown.

    Raises:
        CheckpointError: the file cannot be read.
    """
    own, *ancestors = saved.trained_on
    if other_data(own, ancestors) or not committed_path(directory, DOCUMENT_HASHES).exists():
        return None
    content = read_committed(directory, DOCUMENT_HASHES, WORD * MAX_DOCUMENTS)
    if hashlib.sha256(content).hexdigest() != saved.meta.documents_sha256:
        return None  # of another model, if a save was killed before it removed this file
    return DocumentHashes.decode(content)


def parts_of(doc: Document) -> Sequence[Document]:
    """Return a text, or the beginnings of a conversation that end with a reply."""
    if isinstance(doc, str):
        return (doc,)
    return [doc[:n] for n in range(2, 1 + min(len(doc), MAX_BEGINNING), 2)]


def _hash(form: str) -> int:
    return crc32(form.encode("utf-8", "surrogatepass"))
