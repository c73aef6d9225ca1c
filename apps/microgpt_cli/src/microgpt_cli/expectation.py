"""What a model of some minutes is likely to reach on a text, beside a guess and an n-gram model."""

from collections.abc import Iterator, Sequence
from math import log
from statistics import median
from typing import NamedTuple

import numpy as np

from microgpt import (
    CharTokenizer,
    ChunkedDataset,
    DataError,
    Document,
    NgramModel,
    TextKind,
    count_characters,
    split_documents,
)

MAX_TRAIN, MAX_HELD_OUT = 400_000, 10_000  # number of characters examined
MAX_CELLS = 2**24  # maximum number of probabilities
CONTEXT = 64  # enough for n-grams
# The loss of `train --minutes 1` was so many times that of n-grams, and of longer trainings less
# (names, words, towns, plays and prose; docs/measurements/quality.md and choice.md).
LOWEST, HIGHEST, PER_TENFOLD_TIME = 0.85, 1.05, 0.95
SHORT = 40  # median number of characters of a document that is like a name or a title
# Below each number of characters, what texts of a model are like, if its documents are short or
# longer texts.
PLAUSIBLE = "new ones will look plausible"
WORDS = (
    (5_000, "it will mostly copy them", "it will copy them, or write scrambled ones"),
    (
        100_000,
        "many will look plausible, and some will be copies",
        "layout and short words will be right; most longer words will be invented",
    ),
    (3_000_000, PLAUSIBLE, "most words will be right; sentences will not make sense"),
    (10**15, PLAUSIBLE, "words and phrases will be right; sentences will seldom make sense"),
)


class Expectation(NamedTuple):
    """Losses in nats per character, ends of documents included, and what they mean in words."""

    uniform: float
    ngram: float | None  # None if there is too little text to measure it
    model: tuple[float, float] | None  # what a training is likely to reach
    words: str

    def lines(self, minutes: float) -> Iterator[str]:
        """Yield the lines of a report."""
        if self.ngram is not None and self.model:
            low, high = self.model
            yield (
                f"loss in nats per character: {self.uniform:.2f} for a uniform guess, "
                f"{self.ngram:.2f} for n-grams"
            )
            yield (
                f"a training of {minutes:g} min is likely to reach {low:.2f} to {high:.2f}, "
                "or less if the text follows rules"
            )
        yield self.words


def expect(docs: Sequence[Document] | str, minutes: float) -> Expectation:
    """Return what to expect of a training of some minutes on documents or running text."""
    text: TextKind = "stream" if isinstance(docs, str) else "lines"
    lengths = [len(docs)] if isinstance(docs, str) else [*map(count_characters, docs)]
    n_characters = sum(lengths)
    tokenizer = CharTokenizer.from_documents([docs] if isinstance(docs, str) else docs)
    ngram = _ngram_loss(docs, tokenizer, text, n_characters)
    uniform, model = log(tokenizer.vocab_size), None
    if ngram is not None:
        gain = PER_TENFOLD_TIME ** max(0.0, np.log10(max(minutes, 1)))
        model = LOWEST * ngram * gain, min(uniform, HIGHEST * ngram)
    is_short = text == "lines" and not tokenizer.is_chat and median(lengths) <= SHORT
    level = next(i for i, (most, *_) in enumerate(WORDS) if n_characters < most)
    what = "replies" if tokenizer.is_chat else "lines" if text == "stream" else "documents"
    words = f"{what} of a model: {WORDS[level][1 if is_short else 2]}"
    if level < (2 if is_short else 3):
        words += "; ten times the text would help most"
    return Expectation(uniform, ngram, model, words)


def _ngram_loss(
    docs: Sequence[Document] | str, tokenizer: CharTokenizer, text: TextKind, n_characters: int
) -> float | None:
    """Return the loss of an n-gram model on a tenth of a text, or None if there are too few."""
    if isinstance(docs, str):
        docs = docs[: MAX_TRAIN + MAX_HELD_OUT]
    else:
        docs = docs[:: 1 + n_characters // MAX_TRAIN]
    most = min(MAX_HELD_OUT, MAX_CELLS // tokenizer.vocab_size)
    try:
        sets = split_documents(docs, 0.1, 0.0, 0)
    except DataError:
        return None
    train = ChunkedDataset(sets.train, tokenizer, CONTEXT, text)
    held_out = ChunkedDataset(sets.validation, tokenizer, CONTEXT, text)
    step = 1 + int(held_out.n_tokens / most)
    known, new = train.encode(range(len(train))), held_out.encode(range(0, len(held_out), step))
    found = NgramModel(known, tokenizer.vocab_size).probabilities(new)
    targets = [np.array(new[i][1:]) for i in range(len(new))]
    masks = [np.array(list(new.mask_of(i) or b"\1" * len(new[i]))[1:]) for i in range(len(new))]
    of_targets = found[np.arange(len(found)), np.concatenate(targets)]
    return float(np.average(-np.log(of_targets), weights=np.concatenate(masks)))
