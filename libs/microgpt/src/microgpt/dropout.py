"""Dropout: in training, numbers are left out at random, so that the model relies on none of them.

(Srivastava et al. 2014.) What is dropped is a function of the seed, the document that is read, the
position in it, and the place in the model: there is no state, so any engine, thread or resumed
training drops the same. The function is a hash: SplitMix64 (Steele, Lea & Flood 2014) makes a key
of document and position, Wellons' "lowbias32" (2018) a draw of a key and a place, because vectors
can multiply 32 bits.
"""

from collections.abc import Sequence
from typing import Protocol

from microgpt.value import Number

GOLDEN_64, GOLDEN_32 = 0x9E3779B97F4A7C15, 0x9E3779B9  # 2**n over the golden ratio: spreads keys
# By how much to shift to the right and xor, and then what to multiply by.
ROUNDS_64 = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
ROUNDS_32 = ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1))


class Drop(Protocol):
    """A function that leaves numbers out."""

    def __call__(self, x: list[Number], position: int, site: int, /) -> list[Number]:
        """Return a vector with 0 for what is dropped from a position of the document, at a site."""


def keep_all(x: list[Number], position: int, site: int, /) -> list[Number]:
    """Return x: a model in use drops nothing."""
    return x


class Dropout:
    """What is dropped while one document is read: a `Drop`."""

    def __init__(self, rate: float, seed: int, n_read: int) -> None:
        """Take a document.

        Args:
            rate: the share that is dropped, below 1; what is left is scaled up, so that the mean
                stays.
            seed: of the training.
            n_read: how many documents it has read before.
        """
        self._rate = rate
        self._of_doc = _mixed(seed + GOLDEN_64 * (n_read + 1), ROUNDS_64, 64)

    def __call__(self, x: list[Number], position: int, site: int, /) -> list[Number]:
        """Do what `Drop` says."""
        if not self._rate:
            return x
        key = _mixed(self._of_doc + GOLDEN_64 * (position + 1), ROUNDS_64, 64) >> 32
        threshold, scale = int(self._rate * 2**32), 1 / (1 - self._rate)
        return [
            xi * (scale if _mixed(key + GOLDEN_32 * unit, ROUNDS_32, 32) >= threshold else 0.0)
            for unit, xi in enumerate(x, start=site * len(x))
        ]


def _mixed(x: int, rounds: Sequence[tuple[int, int]], n_bits: int) -> int:
    """Return n_bits bits, each of which depends on each of those of x."""
    x %= 2**n_bits
    for shift, factor in rounds:
        x = (x ^ x >> shift) * factor % 2**n_bits
    return x
