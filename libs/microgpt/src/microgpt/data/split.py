"""Split documents into training, validation and test sets, and remove duplicate documents."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

from microgpt.config import LESS_THAN_1, TrainConfig, checked
from microgpt.data.context import ChunkedDataset
from microgpt.data.tokenizer import AnyDocument, Document, Documents, Tokenizer, as_documents
from microgpt.errors import ConfigError, DataError

T = TypeVar("T")
HELD_OUT = ("validation", "test")
SETS = ("docs", "train", *HELD_OUT)
MAX_STRETCHES = 10  # maximum number of stretches per held-out set; enough to represent a text
MIN_STRETCH = 2_000  # in characters; in a shorter stretch, most tokens would have little context
HASH_BATCH = 1024  # number of documents per hash update; avoids a full copy of the data in memory


@dataclass(frozen=True)
class DataFacts:
    """Size, hash (see `fingerprint`) and held-out fractions of a dataset."""

    n_docs: int  # number of documents, including held-out documents
    sha256: str
    val_fraction: float = 0.0
    test_fraction: float = 0.0
    # Number of unused characters on each side of a held-out stretch of running text, which is split
    # by position; None for documents, which are split by hash, and if nothing is held out.
    gap: int | None = None


@dataclass(frozen=True)
class Split:
    """Documents split into training, validation and test sets.

    `split` divides documents by fractions, which are recorded. To use sets of your own, construct a
    `Split` without fractions. Do not replace the sets of a split: its fractions would be wrong.
    """

    docs: Sequence[Document]  # all documents, including duplicates
    train: Sequence[Document]
    validation: Sequence[Document] = ()  # used to choose settings and weights
    test: Sequence[Document] = ()  # used only for the final loss
    val_fraction: float = 0.0  # requested validation fraction
    test_fraction: float = 0.0
    gap: int | None = None  # see `DataFacts`
    every: int = 1  # training uses every n-th document, or every n-th part of running text
    _made: dict[object, Any] = field(default_factory=dict, init=False, compare=False)  # see `once`

    def __post_init__(self) -> None:
        for name in SETS:
            if not isinstance(docs := getattr(self, name), tuple):  # copy a mutable list
                object.__setattr__(self, name, as_documents(docs))

    def __repr__(self) -> str:
        n_train, n_val, n_test = map(len, (self.train, self.validation, self.test))
        return f"Split({n_train:,} for training, {n_val:,} for validation, {n_test:,} for testing)"

    @cached_property
    def facts(self) -> DataFacts:
        """The `DataFacts` of all documents or, if nothing is held out, of the training set."""
        fractions = float(self.val_fraction), float(self.test_fraction)  # converts NumPy numbers
        docs = self.docs if any(fractions) else self.train
        return DataFacts(len(docs), fingerprint(docs), *fractions, self.gap)

    def read_before(self, name: str) -> Sequence[Document]:
        """Return the documents that a run uses before it evaluates a set; the test set is last."""
        return (*self.train, *self.validation) if name == "test" else self.train

    def chunked(self, tokenizer: Tokenizer, block_size: int, config: TrainConfig) -> ChunkedDataset:
        """Return the chunks of the training set."""
        key = (tokenizer, block_size, config.text)
        return self.once(key, lambda: ChunkedDataset(self.train, *key))

    def once(self, key: object, make: Callable[[], T]) -> T:
        """Return the result of `make`, cached under a key for later training runs."""
        if key not in self._made:  # two threads can both call `make`, which is harmless
            self._made[key] = make()
        found: T = self._made[key]
        return found


def split(docs: Iterable[AnyDocument], *, validation: float = 0.0, test: float = 0.0) -> Split:
    """Split documents by hash and remove duplicates.

    The set of a document depends only on its content, not on other documents, order or a seed. If
    both fractions are 0, all documents, including duplicates, are in the training set.

    Raises:
        ConfigError: a fraction is out of range, or the fractions leave no training data.
        DataError: the training set or a requested held-out set has no documents.
    """
    _check_fractions(validation, test)
    docs = as_documents(docs)
    if not validation + test:
        return Split(docs, docs)
    sets: tuple[list[Document], list[Document], list[Document]] = [], [], []  # in SETS[1:] order
    for doc in dict.fromkeys(docs):
        line = doc if isinstance(doc, str) else as_line(doc)  # avoids a slow call for texts
        digest = hashlib.sha256(line.encode("utf-8", "surrogatepass")).digest()
        place = int.from_bytes(digest[:4], "big") / 2**32  # in [0, 1)
        # The test set has the lowest values and the validation set the highest, so a change of one
        # fraction moves no document between the training set and the other held-out set.
        sets[2 if place < test else 1 if place >= 1 - validation else 0].append(doc)
    n = sum(map(len, sets))
    what = "documents" if n == len(docs) else "distinct documents"
    train, held_out, tested = map(tuple, sets)
    found = Split(docs, train, held_out, tested, validation, test)
    return _require_sets(found, f"{what} ({n:,})", "documents")


def split_stream(text: str, *, validation: float = 0.0, test: float = 0.0, gap: int = 256) -> Split:
    """Split running text by position. Each stretch of text is one document of its set.

    Ten evenly spaced stretches per set are held out, alternating between validation and test. There
    are fewer if any stretch, including those for training, would be shorter than 2,000 characters
    or 4 times the gap.

    Args:
        gap: number of unused characters on either side of a held-out stretch; use at least the
            context length of the model.
    """
    _check_fractions(validation, test)
    gap = checked("gap", gap, int, minimum=0)
    if not validation + test:
        return Split((text,), (text,))
    stretches: dict[str, list[str]] = {name: [] for name in SETS[1:]}
    start = 0  # start of the next training stretch
    for name, first, end in _spread({"validation": validation, "test": test}, len(text), gap):
        stretches["train"].append(text[start : max(start, first - gap)])
        stretches[name].append(text[first:end])
        start = end + gap
    stretches["train"].append(text[start:])
    train, held_out, tested = (tuple(filter(None, texts)) for texts in stretches.values())
    found = Split((text,), train, held_out, tested, validation, test, gap)
    return _require_sets(found, f"characters ({len(text):,})", "text")


def split_documents(docs: Documents, validation: float, test: float, gap: int) -> Split:
    """Split documents by hash, or running text by position."""
    if isinstance(docs, str):
        return split_stream(docs, validation=validation, test=test, gap=gap)
    return split(docs, validation=validation, test=test)


def split_again(docs: Sequence[Document], facts: DataFacts) -> Split:
    """Repeat the split of documents, or of a single running text, that `facts` describe."""
    again = docs if facts.gap is None else cast("str", docs[0])
    return split_documents(again, facts.val_fraction, facts.test_fraction, facts.gap or 0)


def _require_sets(sets: Split, what: str, more: str) -> Split:
    """Return the split, or raise DataError if a requested set is empty."""
    fractions = 1.0, sets.val_fraction, sets.test_fraction
    for name, fraction in zip(SETS[1:], fractions, strict=True):
        if fraction and not getattr(sets, name):
            problem = f"the {name} split is empty, as there are too few {what}"
            raise DataError(f"{problem}; add {more} or use another fraction")
    return sets


def _spread(shares: dict[str, float], length: int, gap: int) -> Iterator[tuple[str, int, int]]:
    """Yield the name of the set, the start and the end of each held-out stretch, in text order."""
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
    """Return the SHA-256 of all documents, each followed by a newline. Their order matters.

    A text is hashed as UTF-8, a conversation as the JSON array [[role, content], …]. If there are
    several documents, a text of several lines is hashed as a JSON string.
    """
    digest = hashlib.sha256()
    for i in range(0, len(docs), HASH_BATCH):
        lines: Iterable[str] = map(as_line, docs[i : i + HASH_BATCH])
        if len(docs) > 1:
            lines = (json.dumps(line) if "\n" in line else line for line in lines)
        digest.update(("\n".join(lines) + "\n").encode(errors="surrogatepass"))
    return digest.hexdigest()


def as_line(doc: Document) -> str:
    """Return the text that is hashed for a document: a text itself, or a conversation as JSON."""
    if isinstance(doc, str):
        return doc
    turns = [[message.role, message.content] for message in doc]
    return json.dumps(turns, ensure_ascii=False, separators=(",", ":"))
