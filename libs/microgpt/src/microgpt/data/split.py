"""Split documents into training, validation and test sets."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from microgpt.config import TrainConfig
from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.data.tokenizer import Document, Tokenizer, joined
from microgpt.errors import ConfigError, DataError

HASH_BATCH = 1024  # number of documents per hash update; avoids a full copy in memory


@dataclass(frozen=True)
class DataFacts:
    """Size, hash (see `fingerprint`) and held-out fractions of a dataset."""

    n_docs: int  # number of documents, including held-out documents
    sha256: str
    val_fraction: float = 0.0
    test_fraction: float = 0.0


@dataclass(frozen=True)
class Split:
    """Documents split into training, validation and test sets."""

    docs: Sequence[Document]  # all documents, including duplicates
    train: Sequence[Document]
    validation: Sequence[Document] = ()  # used to choose settings and weights
    test: Sequence[Document] = ()  # used only for the final loss
    val_fraction: float = 0.0  # requested validation fraction
    test_fraction: float = 0.0
    _chunked: dict[object, ChunkedDataset] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def facts(self) -> DataFacts:
        """The facts about the dataset that are saved with a model."""
        sha256 = fingerprint(self.docs)
        return DataFacts(len(self.docs), sha256, self.val_fraction, self.test_fraction)

    def chunked(self, tokenizer: Tokenizer, block_size: int, config: TrainConfig) -> ChunkedDataset:
        """Return the chunks of the training set, cached for the next training run."""
        settings = (block_size, config.loss_on, config.long_docs, config.text)
        key = (tokenizer, *settings)
        if key not in self._chunked:  # harmless race: two threads may both build the chunks
            self._chunked[key] = ChunkedDataset(self.train, tokenizer, *settings)
        return self._chunked[key]


def split(docs: Sequence[Document], *, validation: float = 0.0, test: float = 0.0) -> Split:
    """Split documents by hash and remove duplicates.

    The set that a document belongs to depends only on the content of the document, not on other
    documents, their order or a seed. If both fractions are 0, all documents, including duplicates,
    are in the training set.

    Raises:
        ConfigError: a fraction is out of range, or the fractions leave no training data.
        DataError: the training set or a requested held-out set has no documents.
    """
    _check_fractions(validation, test)
    if not validation + test:
        return Split(docs, docs)
    parts: dict[str, list[Document]] = {"train": [], "validation": [], "test": []}
    for doc, place in _hash_distinct(docs):
        name = "test" if place < test else "validation" if place >= 1 - validation else "train"
        parts[name].append(doc)
    for name, fraction in (("train", 1.0), ("validation", validation), ("test", test)):
        if fraction and not parts[name]:
            n = sum(map(len, parts.values()))
            what = "documents" if n == len(docs) else "distinct documents"
            raise DataError(f"too few {what} ({n:,}): the {name} split is empty; add documents")
    return Split(docs, **parts, val_fraction=validation, test_fraction=test)


def split_stream(text: str, *, validation: float = 0.0, test: float = 0.0) -> Split:
    """Split running text into a training set, then a validation set, then a test set.

    Raises:
        ConfigError: a fraction is out of range, or the fractions leave no training data.
        DataError: the training set or a requested held-out set has no characters.
    """
    _check_fractions(validation, test)
    ends = [round(len(text) * end) for end in (1 - validation - test, 1 - test, 1)]
    parts = {
        name: text[start:end]
        for name, start, end in zip(("train", "validation", "test"), [0, *ends], ends, strict=False)
    }
    for name, fraction in (("train", 1.0), ("validation", validation), ("test", test)):
        if fraction and not parts[name]:
            raise DataError(
                f"too few characters ({len(text):,}): the {name} split is empty; add text"
            )
    held_out = {name: (parts[name],) if parts[name] else () for name in ("validation", "test")}
    return Split(
        (text,), (parts["train"],), **held_out, val_fraction=validation, test_fraction=test
    )


def _check_fractions(validation: float, test: float) -> None:
    for name, fraction in (("validation", validation), ("test", test)):
        if not 0 <= fraction < 1:
            raise ConfigError(f"the {name} fraction must be in [0, 1), got {fraction}")
    if validation + test >= 1:
        raise ConfigError(f"validation ({validation}) + test ({test}) must be less than 1")


def fingerprint(docs: Sequence[Document]) -> str:
    """Return the SHA-256 of all documents, in order, each followed by a newline.

    A text is hashed as UTF-8, a conversation as the JSON array [[role, content], …].
    """
    digest = hashlib.sha256()
    for i in range(0, len(docs), HASH_BATCH):
        batch = docs[i : i + HASH_BATCH]
        lines = joined(batch, "\n") or "\n".join(map(_as_line, batch))
        digest.update((lines + "\n").encode(errors="surrogatepass"))
    return digest.hexdigest()


def _as_line(doc: Document) -> str:
    """Return the line of text that is hashed for a document."""
    if isinstance(doc, str):
        return doc
    pairs = [[message.role, message.content] for message in doc]
    return json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


def _hash_distinct(docs: Iterable[Document]) -> Iterator[tuple[Document, float]]:
    """Yield each distinct document with a hash of its content in [0, 1)."""
    seen: set[str | bytes] = set()
    for doc in docs:
        digest = hashlib.sha256(_as_line(doc).encode(errors="surrogatepass")).digest()
        key = doc if isinstance(doc, str) else digest  # the text is already in memory
        if key not in seen:
            seen.add(key)
            yield doc, int.from_bytes(digest[:4], "big") / 2**32
