"""Hashes of the training documents, stored with a model to recognise copies in its samples.

The file contains the CRC-32 of each document, of each of its lines and of the parts of each
conversation, as `read_forms` yields them: distinct 32-bit little-endian integers, in ascending
order. A text that is not among n documents is mistaken for one with a probability of n / 2³².
"""

import hashlib
import struct
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Self
from zlib import crc32

from microgpt.config import DOCUMENT_HASHES, TextKind
from microgpt.data.contamination import other_data, read_forms
from microgpt.data.folding import plain
from microgpt.data.tokenizer import Document
from microgpt.files import committed_path, read_committed
from microgpt.storage.saved_model import SavedModel

MAX_DOCUMENTS = 2**20
WORD = 4  # bytes per hash


class DocumentHashes(Container[str]):
    """A set of documents, stored only as hashes.

    Example:
        >>> known = DocumentHashes.from_documents(["anna", "emma"])
        >>> "Anna" in known, "ann" in known
        (True, False)
    """

    def __init__(self, hashes: Iterable[int]) -> None:
        self._hashes = frozenset(hashes)

    @classmethod
    def from_documents(cls, docs: Sequence[Document]) -> Self:
        """Return the hashes of some documents and of their parts."""
        return cls(map(_hash, read_forms(docs)))

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Decode the content of documents.crc32."""
        return cls(struct.unpack_from(f"<{len(content) // WORD}I", content))

    def encode(self) -> bytes:
        """Return the content of documents.crc32."""
        return struct.pack(f"<{len(self._hashes)}I", *sorted(self._hashes))

    def __contains__(self, text: object) -> bool:
        """Return whether a text, or a form of a conversation, is a document or a part of one."""
        ways = (text, plain(text)) if isinstance(text, str) else ()  # the first is an earlier one
        return not self._hashes.isdisjoint(map(_hash, ways))


def hashes_file(docs: Sequence[Document], text: TextKind) -> bytes | None:
    """Return the file for the documents of a model; None for running text or over a million."""
    if text == "stream" or not 0 < len(docs) <= MAX_DOCUMENTS:
        return None
    content = DocumentHashes.from_documents(docs).encode()
    return content if len(content) <= WORD * MAX_DOCUMENTS else None


def read_document_hashes(directory: Path, saved: SavedModel) -> DocumentHashes | None:
    """Return the hashes of all data of a model and its ancestors, or None if some are unknown."""
    data, *ancestors = saved.trained_on
    if other_data(data, ancestors) or not committed_path(directory, DOCUMENT_HASHES).exists():
        return None
    content = read_committed(directory, DOCUMENT_HASHES, WORD * MAX_DOCUMENTS)
    if hashlib.sha256(content).hexdigest() != saved.meta.documents_sha256:
        return None  # of another model, if a save was killed before it removed this file
    return DocumentHashes.decode(content)


def _hash(form: str) -> int:
    return crc32(form.encode("utf-8", "surrogatepass"))
