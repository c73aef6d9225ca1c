"""What a model of some minutes is likely to reach on a text, beside a guess and an n-gram model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import log, log10
from statistics import median
from typing import Any

from microgpt import CharTokenizer, DataError, Document, TextKind, count_characters, split_documents
from microgpt_cli.counting import baselines

MAX_COUNTED = 400_000  # number of characters of which n-grams are counted
MEASURED = 80_000  # the held-out documents of so many characters are measured
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


def expect(docs: Sequence[Document] | str, minutes: float) -> dict[str, Any]:
    """Return what to expect of a training of some minutes on documents or running text.

    The losses are in nats per character, ends of documents included. Those of n-grams, and of the
    model, are None if there is too little text to measure them.
    """
    text: TextKind = "stream" if isinstance(docs, str) else "lines"
    texts = [docs] if isinstance(docs, str) else docs
    lengths, tokenizer = [*map(count_characters, texts)], CharTokenizer.from_documents(texts)
    n_characters, is_chat = sum(lengths), tokenizer.is_chat
    every = 1 + n_characters // MAX_COUNTED
    sample = docs[:MAX_COUNTED] if isinstance(docs, str) else docs[::every]
    step = 1 + n_characters // every // MEASURED
    uniform, ngram, model = log(tokenizer.vocab_size), None, None
    with suppress(DataError):
        sets = split_documents(sample, 0.1, 0.0, 0)
        ngram = baselines(replace(sets, validation=sets.validation[::step]), text)["ngrams"]
        gain = PER_TENFOLD_TIME ** log10(max(minutes, 1))
        model = LOWEST * ngram * gain, min(uniform, HIGHEST * ngram)
    is_short = text == "lines" and not is_chat and median(lengths) <= SHORT
    level = next(i for i, (most, *_) in enumerate(WORDS) if n_characters < most)
    what = "replies" if is_chat else "lines" if text == "stream" else "documents"
    words = f"{what} of a model: {WORDS[level][1 if is_short else 2]}"
    if level < (2 if is_short else 3):
        words += "; ten times the text would help most"
    return {"uniform": uniform, "ngram": ngram, "model": model, "words": words}


def expectation_lines(found: Mapping[str, Any], minutes: float) -> Iterator[str]:
    """Yield the lines of a report on what `expect` has found."""
    if found["model"]:
        low, high = found["model"]
        losses = f"{found['uniform']:.2f} for a uniform guess, {found['ngram']:.2f} for n-grams"
        yield f"loss in nats per character: {losses}"
        likely = f"a training of {minutes:g} min is likely to reach {low:.2f} to {high:.2f}"
        yield f"{likely}, or less if the text follows rules"
    yield found["words"]
