"""Count-based baselines for losses, standard errors, and the loss that training can reach.

Here, a model is a function from documents to probabilities of shape (predictions, vocab_size).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import log, log10
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt import (
    ChunkedDataset,
    DataError,
    Document,
    EvaluationSet,
    NgramModel,
    SavedModel,
    Split,
    TextKind,
    TokenDataset,
    Tokenizer,
    all_texts,
    char_tokenizer,
    count_characters,
    count_predictions,
    split_documents,
)

Predict = Callable[[TokenDataset], NDArray[Any]]

MAX_COUNTED = 2**20  # maximum number of training tokens; counting more would take seconds
MAX_NUMBERS = 2**23  # maximum number of probabilities in memory at once
MANY = 1000  # a sample of this many documents is representative, although their lengths differ
CONTEXT = 256  # longer documents are split into windows of this many tokens
NAMES = {"uniform": "a uniform guess", "pairs": "pairs", "ngrams": "n-grams"}
ORDERS = {"pairs": 2, "ngrams": 6}  # n of the n-grams; 6 is about the best n for most texts
SAMPLE = 400_000  # maximum number of characters that `expect` reads
# Lowest and highest ratio of the loss of `train --minutes 1` to that of n-grams, and the factor by
# which ten times the training time changes the loss (docs/measurements/quality.md and choice.md).
LOWEST, HIGHEST, PER_TENFOLD_TIME = 0.85, 1.05, 0.95
SHORT = 40  # maximum median length, in characters, of documents such as names or titles
# Expected quality of generated texts: each row has the maximum number of characters of the training
# data, a text for short documents, and a text for longer ones.
PLAUSIBLE = "new ones will look plausible"
WORDS = (
    (5_000, "most will be copies", "they will be copies, or scrambled"),
    (
        100_000,
        "many will look plausible, some will be copies",
        "short words will be right, most longer ones invented",
    ),
    (3_000_000, PLAUSIBLE, "most words will be right; sentences will not make sense"),
    (10**15, PLAUSIBLE, "phrases will be right; sentences will seldom make sense"),
)


def counted(
    docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind
) -> Callable[[int], Predict]:
    """Return a function from n to the n-gram model of the documents, or of a sample of them."""
    read = sampled(docs, tokenizer, text, MAX_COUNTED)
    return lambda n: NgramModel(read, tokenizer.vocab_size, n).probabilities


def sampled(
    docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind, most: int
) -> TokenDataset:
    """Encode documents, or an evenly spaced sample if they have more than `most` predictions."""
    every = 1 + (len(docs) + sum(map(len, all_texts(docs)))) // most
    if text == "stream":  # encoding the whole text would be slow
        docs = [doc[i : i + CONTEXT] for doc in docs for i in range(0, len(doc), every * CONTEXT)]
        every = 1
    elif len(docs) > MANY * every:  # splitting all documents into chunks would be slow
        docs, every = docs[::every], 1
    chunks = ChunkedDataset(docs, tokenizer, CONTEXT, text)
    return chunks.encode(range(0, len(chunks), every))


def to_score(
    docs: Sequence[Document],
    tokenizer: Tokenizer,
    text: TextKind,
    block_size: int = CONTEXT,
    most: int = MAX_NUMBERS,
) -> EvaluationSet:
    """Encode documents in portions of up to `most` predictions, fewer for a large vocabulary."""
    at_once = max(1, min(most, MAX_NUMBERS // tokenizer.vocab_size))
    return EvaluationSet.from_documents(docs, tokenizer, block_size, text, at_once=at_once)


def targets_of(docs: TokenDataset) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the predictions' targets, and a mask of those in the loss, both of shape (N,)."""
    counts = np.frombuffer(docs.mask or b"\1" * len(docs.tokens), bool)
    first = docs.starts[:-1]  # the first token of a document is not predicted
    return np.delete(np.frombuffer(docs.tokens, np.int64), first), np.delete(counts, first)


def losses_of(predict: Predict, docs: TokenDataset) -> NDArray[np.float64]:
    """Return the loss in nats of each prediction that is not masked."""
    targets, counts = targets_of(docs)
    return -np.log(predict(docs)[np.arange(len(targets)), targets][counts], dtype=np.float64)


def loss_of(predict: Predict, docs: EvaluationSet) -> float:
    """Return the mean loss of a model on documents, in nats per token."""
    return sum(float(losses_of(predict, each).sum()) for each in docs.portions) / docs.n_tokens


def standard_error(
    losses: NDArray[Any], docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind
) -> float | None:
    """Return the standard error of the mean loss per token of documents (Cochran 1977, 6.4).

    `losses` are those of the first documents; if fewer than two are complete, return None.
    """
    sizes = np.array([count_predictions(doc, text, tokenizer.count) for doc in docs[: len(losses)]])
    sizes = sizes[np.cumsum(sizes) <= len(losses)]
    if np.count_nonzero(sizes) < 2:
        return None
    losses, places = losses[: sizes.sum()], np.repeat(np.arange(len(sizes)), sizes)
    excess = np.bincount(places, losses - losses.mean(), len(sizes))
    return float(np.sqrt(excess @ excess / (len(sizes) - 1) / len(docs)) / sizes.mean())


def baselines(sets: Split, text: TextKind) -> dict[str, float]:
    """Return the validation losses of count-based models, in nats per character."""
    tokenizer = sets.once("characters", partial(char_tokenizer, sets.docs))
    model_of = counted(sets.train, tokenizer, text)
    docs = sampled(sets.validation, tokenizer, text, MAX_NUMBERS // tokenizer.vocab_size)
    losses = {
        name: round(float(losses_of(model_of(n), docs).mean()), 4) for name, n in ORDERS.items()
    }
    return {"uniform": round(log(tokenizer.vocab_size), 4), **losses}


def compared(losses: Mapping[str, object]) -> str:
    """Return losses of `baselines` as text, such as "a uniform guess 3.30, pairs 2.47"."""
    found = ((name, losses.get(key)) for key, name in NAMES.items())
    return ", ".join(f"{name} {loss:.2f}" for name, loss in found if isinstance(loss, float))


def comparison(saved: SavedModel) -> str:
    """Return a model's recorded baselines as text, or else the loss of a uniform guess."""
    recorded = saved.meta.training.get("baselines")
    if isinstance(recorded, dict) and (text := compared(recorded)):
        return f"{text} nats per character, on its validation documents"
    return f"{compared({'uniform': log(saved.model.vocab_size)})} nats per token"


def expect(docs: Sequence[Document] | str, minutes: float) -> dict[str, Any]:
    """Estimate the loss and the text quality after training on documents or running text.

    The losses of `baselines` and the range of a model's likely loss are in nats per character,
    including document ends. They are missing if there are too few documents to measure them.
    """
    text: TextKind = "stream" if isinstance(docs, str) else "lines"
    texts = [docs] if isinstance(docs, str) else docs
    lengths = [*map(count_characters, texts)]
    n_characters, is_chat = sum(lengths), not all(isinstance(each, str) for each in texts)
    sample = docs[:SAMPLE] if text == "stream" else docs[:: 1 + n_characters // SAMPLE]
    found: dict[str, Any] = {}
    with suppress(DataError):
        losses = baselines(split_documents(sample, 0.1, 0.0, 0), text)
        gain = PER_TENFOLD_TIME ** log10(max(minutes, 1))
        highest = min(losses["uniform"], HIGHEST * losses["ngrams"])
        found = {"baselines": losses, "model": (LOWEST * losses["ngrams"] * gain, highest)}
    is_short = text == "lines" and not is_chat and median(lengths) <= SHORT
    level = next(i for i, (most, *_) in enumerate(WORDS) if n_characters < most)
    what = "replies" if is_chat else "lines" if text == "stream" else "documents"
    words = f"generated {what}: {WORDS[level][1 if is_short else 2]}"
    if level < (2 if is_short else 3):
        words += "; ten times the text would help most"
    return {**found, "words": words}


def expectation_lines(found: Mapping[str, Any], minutes: float) -> Iterator[str]:
    """Yield the lines of a report on the result of `expect`."""
    if "model" in found:
        low, high = found["model"]
        yield f"loss in nats per character: {compared(found['baselines'])}"
        likely = f"training for {minutes:g} min is likely to reach {low:.2f} to {high:.2f}"
        yield f"{likely}, or less if the text follows rules"
    yield found["words"]
