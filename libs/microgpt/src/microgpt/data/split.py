"""Split documents into training, validation and test sets, and remove duplicate documents."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from microgpt.config import LESS_THAN_1, TrainConfig, checked
from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.data.folding import plain
from microgpt.data.tokenizer import (
    AnyDocument,
    Document,
    Documents,
    Tokenizer,
    as_documents,
    hashable,
)
from microgpt.errors import ConfigError, DataError

HELD_OUT = ("validation", "test")
PIECE = 50  # number of characters of running text that are compared at once
N_PIECES = 200  # a piece is found in a text of a million characters in a millisecond
MAX_STRETCHES = 10  # maximum per held-out set; enough to sample all parts of a text
MIN_STRETCH = 2_000  # in characters; in shorter stretches, too many tokens have little context
MAX_BEGINNING = 64  # messages; the work for all beginnings grows with the square of the length
HASH_BATCH = 1024  # number of documents per hash update; avoids a full copy in memory
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class DataFacts:
    """Size, hash (see `fingerprint`) and held-out fractions of a dataset."""

    n_docs: int  # number of documents, including held-out documents
    sha256: str
    val_fraction: float = 0.0
    test_fraction: float = 0.0
    # Number of unused characters on either side of a held-out stretch of running text; None for
    # documents, and if nothing is held out.
    gap: int | None = None


@dataclass(frozen=True)
class Split:
    """Documents split into training, validation and test sets."""

    docs: Sequence[Document]  # all documents, including duplicates
    train: Sequence[Document]
    validation: Sequence[Document] = ()  # used to choose settings and weights
    test: Sequence[Document] = ()  # used only for the final loss
    val_fraction: float = 0.0  # requested validation fraction
    test_fraction: float = 0.0
    gap: int | None = None  # see `DataFacts`
    # The sets that the fractions give, if they are known; a replaced one is another one.
    _by_fractions: Sequence[Sequence[Document]] = field(default=(), repr=False, compare=False)
    _chunked: dict[object, ChunkedDataset] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for name in ("docs", "train", "validation", "test"):
            object.__setattr__(self, name, hashable(getattr(self, name)))

    def __repr__(self) -> str:
        n_train, n_val, n_test = map(len, (self.train, self.validation, self.test))
        return f"Split({n_train:,} for training, {n_val:,} for validation, {n_test:,} for testing)"

    @cached_property
    def facts(self) -> DataFacts:
        """The dataset metadata that is saved with a model.

        If the caller has replaced a set, the training set is recorded as a separate dataset without
        held-out documents.
        """
        if self.has_own_sets:
            return DataFacts(len(self.train), fingerprint(self.train))
        fractions = float(self.val_fraction), float(self.test_fraction)  # also of NumPy
        sha256 = fingerprint(self.docs)
        return DataFacts(len(self.docs), sha256, *fractions, self.gap)

    @property
    def has_own_sets(self) -> bool:
        """Whether the caller has replaced a set, so that a document may be in two sets."""
        sets = self.train, self.validation, self.test
        known = self._by_fractions or 3 * [None]
        return any(len(one) and one is not other for one, other in zip(sets, known, strict=True))

    @property
    def is_stream(self) -> bool:
        """Whether the document is running text, if some of it is held out."""
        return len(self.docs) == 1

    def read_before(self, name: str) -> Sequence[Document]:
        """Return the documents that are read before a held-out set: validation chooses weights."""
        return (*self.train, *self.validation) if name == "test" else self.train

    @cached_property
    def repeated(self) -> dict[str, float]:
        """The share of each held-out set that is also in what is read before it."""
        sets = {name: getattr(self, name) for name in HELD_OUT}
        read = {name: self.read_before(name) for name in HELD_OUT}
        return {name: self.repetition(docs, read[name]) for name, docs in sets.items() if docs}

    def repetition(self, docs: Iterable[Document], read: Iterable[Document]) -> float:
        """Return the share of texts, of replies or of running text that was read.

        Of running text, pieces of PIECE characters are compared, at up to N_PIECES places.
        """
        if self.is_stream:
            text = "\n".join(map(as_line, read))
            pieces = [piece for doc in docs for piece in _pieces(as_line(doc))]
            known = [piece in text for piece in pieces[:: 1 + len(pieces) // N_PIECES]]
        else:
            found = [form for doc in docs for form in forms(doc)]
            common = {*found}.intersection(form for doc in read for form in forms(doc))
            known = [form in common for form in found]
        return sum(known) / max(1, len(known))

    def chunked(self, tokenizer: Tokenizer, block_size: int, config: TrainConfig) -> ChunkedDataset:
        """Return the chunks of the training set, cached for later training runs."""
        key = (tokenizer, block_size, config.text)
        if key not in self._chunked:  # harmless race: two threads may both build the chunks
            self._chunked[key] = ChunkedDataset(self.train, *key)
        return self._chunked[key]


def split(docs: Iterable[AnyDocument], *, validation: float = 0.0, test: float = 0.0) -> Split:
    """Split documents by hash and remove duplicates.

    A document's set depends only on its content, not on other documents, their order or a seed. If
    both fractions are 0, all documents, including duplicates, are in the training set.

    Raises:
        ConfigError: a fraction is out of range, or the fractions leave no training data.
        DataError: the training set or a requested held-out set has no documents.
    """
    _check_fractions(validation, test)
    docs = as_documents(docs)
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
            problem = f"too few {what} ({n:,}): the {name} split is empty"
            raise DataError(f"{problem}; add documents or use another fraction")
    sets = parts["train"], parts["validation"], parts["test"]
    return Split(docs, *sets, validation, test, _by_fractions=sets)


def split_stream(text: str, *, validation: float = 0.0, test: float = 0.0, gap: int = 256) -> Split:
    """Split running text by position. Each stretch of text is one document of its set.

    10 evenly spaced stretches per set are held out, alternating between validation and test. There
    are fewer if any stretch, including those for training, would be shorter than 2,000 characters
    or 4 times the gap.

    Args:
        gap: number of unused characters on either side of a held-out stretch; use at least the
            context length of the model.

    Raises:
        ConfigError: a setting is out of range, or the fractions leave no training data.
        DataError: the training set or a requested held-out set has no characters.
    """
    _check_fractions(validation, test)
    gap = checked("gap", gap, int, minimum=0)
    shares = {"validation": validation, "test": test}
    if not validation + test:
        return Split((text,), (text,))
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    start = 0  # start of the next training stretch
    for name, first, end in _spread(shares, len(text), gap):
        parts["train"].append(text[start : max(start, first - gap)])
        parts[name].append(text[first:end])
        start = end + gap
    parts["train"].append(text[start:])
    found = {name: tuple(filter(None, stretches)) for name, stretches in parts.items()}
    for name, fraction in {"train": 1.0, **shares}.items():
        if fraction and not found[name]:
            what = f"too few characters ({len(text):,}): the {name} split is empty"
            raise DataError(f"{what}; add text or use another fraction")
    sets = found["train"], found["validation"], found["test"]
    return Split((text,), *sets, validation, test, gap, _by_fractions=sets)


def split_documents(docs: Documents, validation: float, test: float, gap: int) -> Split:
    """Split documents by hash, or running text by position."""
    if isinstance(docs, str):
        return split_stream(docs, validation=validation, test=test, gap=gap)
    return split(docs, validation=validation, test=test)


def split_again(docs: Sequence[Document], facts: DataFacts) -> Split:
    """Split documents, or a single running text, in the same way as before."""
    shares = {"validation": facts.val_fraction, "test": facts.test_fraction}
    if not any(shares.values()):
        return Split(docs, docs)
    if facts.gap is None:
        return split(docs, **shares)
    return split_stream(cast("str", docs[0]), **shares, gap=facts.gap)


def _spread(shares: dict[str, float], length: int, gap: int) -> Iterator[tuple[str, int, int]]:
    """Yield the set, start and end of each held-out stretch, in text order."""
    shares = {name: share for name, share in shares.items() if share}
    free = (1 - sum(shares.values())) / len(shares)  # training fraction per held-out set
    shortest = max(MIN_STRETCH, 4 * gap)
    n = max(1, min(MAX_STRETCHES, int(length * min(free, *shares.values()) / shortest)))
    for section in range(n):
        place = section + free / 2  # in units of sections; the text has n equal sections
        for name, share in shares.items():
            yield name, round(length * place / n), round(length * (place + share) / n)
            place += share + free


def _check_fractions(validation: float, test: float) -> None:
    for name, fraction in (("validation", validation), ("test", test)):
        checked(f"the {name} fraction", fraction, float, limits=LESS_THAN_1)
    if validation + test >= 1:
        raise ConfigError(f"validation ({validation}) + test ({test}) must be less than 1")


def fingerprint(docs: Sequence[Document]) -> str:
    """Return the SHA-256 of all documents, in order, each followed by a newline.

    A text is hashed as UTF-8, a conversation as the JSON array [[role, content], …]. If there are
    several documents, a text of several lines is hashed as a JSON string.
    """
    digest = hashlib.sha256()
    for i in range(0, len(docs), HASH_BATCH):
        batch = docs[i : i + HASH_BATCH]
        try:
            lines = "\n".join(cast("Sequence[str]", batch))
        except TypeError:  # there are conversations
            lines = "\n".join(map(as_line, batch))
        if len(docs) > 1 and lines.count("\n") >= len(batch):  # some have several lines
            each = (json.dumps(one) if "\n" in one else one for one in map(as_line, batch))
            lines = "\n".join(each)
        digest.update((lines + "\n").encode(errors="surrogatepass"))
    return digest.hexdigest()


def as_line(doc: Document) -> str:
    """Return the line of text that is hashed for a document."""
    if isinstance(doc, str):
        return doc
    return _as_json([[message.role, message.content] for message in doc])


def forms(doc: Document, first: int = 2) -> list[str]:
    """Return a text, or the beginnings of a conversation, to be compared.

    Texts that differ only in case, accents, white space and invisible characters have one form.

    Args:
        first: 2 for beginnings that end with a reply, 1 for those that end with a question.
    """
    if isinstance(doc, str):
        return [plain(doc)]
    lines = [_as_json([one.role, plain(one.content)]) for one in doc]
    return [f"[{','.join(lines[:n])}]" for n in range(first, 1 + min(len(doc), MAX_BEGINNING), 2)]


def _pieces(text: str) -> list[str]:
    """Return the whole pieces of a text, or the text itself if it is shorter than one."""
    places = range(0, len(text) - PIECE + 1, PIECE)
    return [text[place : place + PIECE] for place in places] or [text]


def _hash_distinct(docs: Iterable[Document]) -> Iterator[tuple[Document, float]]:
    """Yield each distinct document and the hash of its content, scaled to [0, 1)."""
    seen: set[str | bytes] = set()
    for doc in docs:
        digest = hashlib.sha256(as_line(doc).encode(errors="surrogatepass")).digest()
        key = doc if isinstance(doc, str) else digest  # a text needs no extra memory as a key
        if key not in seen:
            seen.add(key)
            yield doc, int.from_bytes(digest[:4], "big") / 2**32
