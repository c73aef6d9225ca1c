"""Split documents into a training, a validation and a test part."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from microgpt.config import TrainConfig
from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.data.tokenizer import Document, Tokenizer, joined
from microgpt.errors import ConfigError, DataError

N_TOGETHER = 1024  # documents that are hashed at once: as fast as all, and no copy of them all


@dataclass(frozen=True)
class DataFacts:
    """The data of a training in figures."""

    n_docs: int  # with those that are held out
    sha256: str  # see `fingerprint`
    val_fraction: float = 0.0  # the share that is held out for choosing
    test_fraction: float = 0.0  # the share for the final figure


@dataclass(frozen=True)
class Split:
    """Documents by what they are for."""

    docs: Sequence[Document]  # all of them
    train: Sequence[Document]  # those to learn from
    validation: Sequence[Document] = ()  # those for choosing settings and weights
    test: Sequence[Document] = ()  # those for the final figure
    val_fraction: float = 0.0  # the share that was asked for
    test_fraction: float = 0.0  # likewise
    _chunked: dict[object, ChunkedDataset] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def facts(self) -> DataFacts:
        """What is to be remembered of the documents."""
        sha256 = fingerprint(self.docs)
        return DataFacts(len(self.docs), sha256, self.val_fraction, self.test_fraction)

    def chunked(self, tokenizer: Tokenizer, block_size: int, config: TrainConfig) -> ChunkedDataset:
        """Return the chunks of the training part, made once for the many trainings of a search."""
        settings = (block_size, config.loss_on, config.long_docs, config.text)
        key = (tokenizer, *settings)
        if key not in self._chunked:  # two threads may both make it, which is no harm
            self._chunked[key] = ChunkedDataset(self.train, tokenizer, *settings)
        return self._chunked[key]


def split(docs: Sequence[Document], *, validation: float = 0.0, test: float = 0.0) -> Split:
    """Set a share of the documents aside, each of which is then there once.

    Where a document goes depends on itself alone, not on the others, their order or a seed: a text
    that has been held out once is held out for ever. Without shares all are for training.

    Raises:
        ConfigError: a share is outside its range, or the two leave nothing to train on.
        DataError: a part that was asked for, or that for training, has no documents.
    """
    _check_shares(validation, test)
    if not validation + test:
        return Split(docs, docs)
    parts: dict[str, list[Document]] = {"train": [], "validation": [], "test": []}
    for doc, place in _placed(docs):
        name = "test" if place < test else "validation" if place >= 1 - validation else "train"
        parts[name].append(doc)
    for name, share in (("train", 1.0), ("validation", validation), ("test", test)):
        if share and not parts[name]:
            n = sum(map(len, parts.values()))
            what = f"{len(docs)} documents" if n == len(docs) else f"{n} different documents"
            raise DataError(f"{what} are too few: none is for {name}; add some")
    return Split(docs, **parts, val_fraction=validation, test_fraction=test)


def split_stream(text: str, *, validation: float = 0.0, test: float = 0.0) -> Split:
    """Set the end of a running text aside: a share for validation, and then one for the test.

    Raises:
        ConfigError: a share is outside its range, or the two leave nothing to train on.
        DataError: a part that was asked for, or that for training, has no characters.
    """
    _check_shares(validation, test)
    ends = [round(len(text) * share) for share in (1 - validation - test, 1 - test, 1)]
    parts = {
        name: text[start:end]
        for name, start, end in zip(("train", "validation", "test"), [0, *ends], ends, strict=False)
    }
    for name, share in (("train", 1.0), ("validation", validation), ("test", test)):
        if share and not parts[name]:
            raise DataError(f"{len(text)} characters are too few: none is for {name}; add some")
    held_out = {name: (parts[name],) if parts[name] else () for name in ("validation", "test")}
    return Split(
        (text,), (parts["train"],), **held_out, val_fraction=validation, test_fraction=test
    )


def _check_shares(validation: float, test: float) -> None:
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise ConfigError(f"the {name} share must be in [0, 1), got {share}")
    if validation + test >= 1:
        raise ConfigError(f"shares of {validation} and {test} leave nothing to train on")


def fingerprint(docs: Sequence[Document]) -> str:
    """Return the sha256 of all documents, in order, each followed by a newline.

    A text counts as its UTF-8 bytes, a conversation as those of [[role, content], …] in JSON.
    """
    digest = hashlib.sha256()
    for i in range(0, len(docs), N_TOGETHER):
        batch = docs[i : i + N_TOGETHER]
        lines = joined(batch, "\n") or "\n".join(map(_as_line, batch))
        digest.update((lines + "\n").encode(errors="surrogatepass"))
    return digest.hexdigest()


def _as_line(doc: Document) -> str:
    """Return what stands for a document where it is hashed."""
    if isinstance(doc, str):
        return doc
    pairs = [[message.role, message.content] for message in doc]
    return json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


def _placed(docs: Iterable[Document]) -> Iterator[tuple[Document, float]]:
    """Yield each document once, with a number in [0, 1) as good as random, and always the same."""
    seen: set[str | bytes] = set()
    for doc in docs:
        digest = hashlib.sha256(_as_line(doc).encode(errors="surrogatepass")).digest()
        key = doc if isinstance(doc, str) else digest  # a text is in memory anyway
        if key not in seen:
            seen.add(key)
            yield doc, int.from_bytes(digest[:4], "big") / 2**32
