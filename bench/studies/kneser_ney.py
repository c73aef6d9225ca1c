"""How well do n-grams predict names?

2.017 nats per character on B with the five characters before, the best order
(docs/measurements/quality.md).

    uv run python bench/study.py kneser_ney

The n-gram models of `microgpt.data.ngram_model`, with modified Kneser-Ney smoothing, are counted on
the training set of the names; n is the only setting. The end of a name counts as one character. A
few seconds.
"""

import math
from argparse import Namespace

from tables import headed

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.evaluation.ngram_loss import ngram_bits

ORDERS = range(2, 8)


def measure(options: Namespace) -> dict:
    """Count and evaluate the models."""
    names = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
    parts = {"val_loss": names.validation, "test_loss": names.test}
    orders = []
    for n in ORDERS:
        losses = {part: ngram_bits(names.train, docs, n) for part, docs in parts.items()}
        orders.append({"n": n} | {part: bits * math.log(2) for part, bits in losses.items()})
    return {"orders": orders}


def ngrams_table(kept: dict, *_: dict) -> str:
    """Return a table of the losses of n-gram models."""
    lines = [
        [part, *(f"{each[what]:.3f}" for each in kept["orders"])]
        for part, what in (("A", "val_loss"), ("B", "test_loss"))
    ]
    return headed(["n", *(str(each["n"]) for each in kept["orders"])], lines)


TABLES = {"quality_ngrams": ngrams_table}
