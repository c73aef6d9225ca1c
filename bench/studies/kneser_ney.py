"""How well do n-grams predict names?

2.017 nats per character on B with the five characters before, the best order (docs/quality.md).

    uv run python bench/study.py kneser_ney

Modified Kneser-Ney: an n-gram model predicts a character from the counts of characters after the
same n − 1 characters. Most contexts are rare, so each count is discounted. The freed probability is
distributed according to the context without its first character, recursively down to the empty
context. Counts of shorter contexts are numbers of distinct preceding characters, not of occurrences
(Kneser & Ney 1995). With interpolation and three discounts, this is the best method in the
comparison by Chen & Goodman (1999, section 3).

The models are fitted to the training set of the names; n is the only setting. The end of a name
counts as one character. Ten seconds.
"""

import math
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from tables import headed

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split

ORDERS = range(2, 8)
START, END = "\0", "\n"  # marks around a name; cannot occur within a line of a file
MOST = 3  # higher counts get the same discount
ROUNDING = 1e-12  # maximum rounding error of a sum of probabilities


class KneserNey:
    """An n-gram model of names.

    Attributes:
        chars: the vocabulary: all characters of the names, and the end mark.
    """

    def __init__(self, names: Sequence[str], n: int) -> None:
        """Count the characters after each context of up to n − 1 characters."""
        self.n = n
        self.chars = [END, *sorted(set("".join(names)))]
        self._id_of = {char: i for i, char in enumerate(self.chars)}
        self._counts = self._count(names)
        self._discounts = [discounts(counts.values()) for counts in self._counts]
        self._known: dict[str, np.ndarray] = {}

    def distribution(self, context: str) -> np.ndarray:
        """Return the probability of each character of `chars` after up to n − 1 characters."""
        if context not in self._known:
            self._known[context] = self._interpolated(context)
        return self._known[context]

    def loss(self, names: Iterable[str]) -> float:
        """Return the mean negative log-likelihood of characters and ends of names, in nats."""
        surprises = [
            -math.log(self.distribution(context)[self._id_of[char]])
            for name in names
            for context, char in self._predictions(name)
        ]
        return math.fsum(surprises) / len(surprises)

    def check(self) -> None:
        """Exit unless the probabilities after each context used so far add up to 1."""
        worst = max(abs(each.sum() - 1) for each in self._known.values())
        if worst > ROUNDING:
            raise SystemExit(f"the {self.n}-gram probabilities do not sum to 1: off by {worst:.1e}")

    def _predictions(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the context and the character for each character of a name and its end mark."""
        n_before = self.n - 1
        text = START * n_before + name + END
        for i in range(n_before, len(text)):
            yield text[i - n_before : i], text[i]

    def _count(self, names: Iterable[str]) -> list[dict[str, np.ndarray]]:
        """Return the counts of each character after each context, by context length.

        For the longest contexts, these are occurrences. For shorter contexts, they are the numbers
        of distinct characters that precede the context and the character.
        """
        counts = [defaultdict(lambda: np.zeros(len(self.chars), int)) for _ in range(self.n)]
        for name in names:
            for context, char in self._predictions(name):
                counts[-1][context][self._id_of[char]] += 1
        for length in range(self.n - 1, 0, -1):
            for context, seen in counts[length].items():
                counts[length - 1][context[1:]] += seen > 0
        return counts

    def _interpolated(self, context: str) -> np.ndarray:
        V = len(self.chars)
        shorter = self.distribution(context[1:]) if context else np.full(V, 1 / V)
        seen = self._counts[len(context)].get(context)
        if seen is None:
            return shorter
        taken = self._discounts[len(context)][np.minimum(seen, MOST)]
        return (seen - taken + taken.sum() * shorter) / seen.sum()


def discounts(counts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the discounts for counts of 0, 1, 2, and 3 or more.

    The discounts are estimated from how many counts are 1, 2, 3 and 4 (Chen & Goodman 1999,
    section 3).
    """
    n = np.bincount(np.concatenate(list(counts)), minlength=MOST + 2).astype(float)
    y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.0  # n[1] may be 0 for the empty context
    rest = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else 0.0 for k in range(1, MOST + 1)]
    return np.array([0.0, *rest])


def measure(options: Namespace) -> dict:
    """Fit and evaluate the models."""
    names = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
    orders = []
    for n in ORDERS:
        model = KneserNey(names.train, n)
        losses = {"val_loss": model.loss(names.validation), "test_loss": model.loss(names.test)}
        orders.append({"n": n, **losses})
        model.check()
    return {"orders": orders}


def ngrams_table(kept: dict, *_: dict) -> str:
    """Return a table of the losses of n-gram models."""
    lines = [
        [part, *(f"{each[what]:.3f}" for each in kept["orders"])]
        for part, what in (("A", "val_loss"), ("B", "test_loss"))
    ]
    return headed(["n", *(str(each["n"]) for each in kept["orders"])], lines)


TABLES = {"quality_ngrams": ngrams_table}
