"""Hashes of the training documents, stored with a model to recognise copies in its samples.

The file contains the CRC-32 of each document, of each line of a document of several lines and of
the beginnings of each conversation, without duplicates, as 32-bit little-endian integers in
ascending order; see `microgpt.data.split.as_line`. A text that is not among n documents is mistaken
for one with a probability of n / 2³².
"""

import hashlib
import struct
from array import array
from bisect import bisect_left
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Self
from zlib import crc32

from microgpt.config import DOCUMENT_HASHES, TextKind
from microgpt.data.split import as_line, document_parts
from microgpt.data.tokenizer import Document
from microgpt.files.atomic_files import committed_path, read_committed
from microgpt.storage.meta import Meta

MAX_DOCUMENTS = 2**20
WORD = 4  # bytes per hash


class DocumentHashes(Container[Document]):
    """A set of documents, stored only as hashes.

    Example:
        >>> known = DocumentHashes.of(["anna", "emma"])
        >>> "anna" in known, "ann" in known
        (True, False)
    """

    def __init__(self, hashes: Iterable[int]) -> None:
        self._hashes = array("I", hashes)

    @classmethod
    def of(cls, docs: Sequence[Document]) -> Self:
        """Return the hashes of some documents and of their parts."""
        return cls(sorted({_hash(part) for doc in docs for part in (doc, *document_parts(doc))}))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Decode the content of documents.crc32."""
        return cls(struct.unpack_from(f"<{len(content) // WORD}I", content))

    def encode(self) -> bytes:
        """Return the content of documents.crc32."""
        return struct.pack(f"<{len(self._hashes)}I", *self._hashes)

    def __contains__(self, doc: object) -> bool:
        """Return whether a text or a conversation is one of the documents or a part of one.

        A text of several lines also counts if all its lines do.
        """
        if not isinstance(doc, Sequence):
            return False
        lines = document_parts(doc) if isinstance(doc, str) else ()
        return self._has(doc) or (bool(lines) and all(map(self._has, lines)))

    def _has(self, doc: Document) -> bool:
        place = bisect_left(self._hashes, wanted := _hash(doc))
        return place < len(self._hashes) and self._hashes[place] == wanted


def hashes_file(docs: Sequence[Document], text: TextKind) -> bytes | None:
    """Return the file for the training documents of a model.

    Return None for running text and more than a million documents.
    """
    if text == "stream" or not 0 < len(docs) <= MAX_DOCUMENTS:
        return None
    content = DocumentHashes.of(docs).encode()
    return content if len(content) <= WORD * MAX_DOCUMENTS else None


def read_document_hashes(directory: Path, meta: Meta) -> DocumentHashes | None:
    """Return the hashes stored with a model, or None if there are none for this model.

    Raises:
        CheckpointError: the file cannot be read.
    """
    if not committed_path(directory, DOCUMENT_HASHES).exists():
        return None
    content = read_committed(directory, DOCUMENT_HASHES, WORD * MAX_DOCUMENTS)
    if hashlib.sha256(content).hexdigest() != meta.documents_sha256:
        return None  # of another model, if a save was killed before it removed this file
    return DocumentHashes.decode(content)


def _hash(doc: Document) -> int:
    return crc32(as_line(doc).encode("utf-8", "surrogatepass"))
