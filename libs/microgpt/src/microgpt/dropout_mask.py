"""Dropout masks (Srivastava et al. 2014), applied in `model`.

The mask is a hash of the seed, the document, the token position and the site in the model. It is
stateless, so all engines, threads and resumed runs use the same mask. SplitMix64 (Steele, Lea &
Flood 2014) hashes document and position to a key. Wellons' "lowbias32" (2018) hashes key and site
to a random number with 32-bit multiplications, which vector units support.
"""

from collections.abc import Sequence

from microgpt.config import TrainConfig
from microgpt.value import Number

GOLDEN_64, GOLDEN_32 = 0x9E3779B97F4A7C15, 0x9E3779B9  # 2**n / golden ratio; spreads the keys
# Hash rounds (shift, multiplier): x = (x ^ x >> shift) * multiplier.
ROUNDS_64 = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
ROUNDS_32 = ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1))


class Dropout:
    """Dropout for one document: zero each element with probability `rate` and scale the others."""

    def __init__(self, rate: float, seed: int, n_read: int) -> None:
        """Derive the mask from the seed and the number of documents read so far."""
        self._rate = rate
        self._of_doc = _mixed(seed + GOLDEN_64 * (n_read + 1), ROUNDS_64, 64)

    def __call__(self, x: list[Number], position: int, site: int, /) -> list[Number]:
        """Apply dropout to a vector at a token position and a site of the model."""
        if not self._rate:
            return x
        key = _mixed(self._of_doc + GOLDEN_64 * (position + 1), ROUNDS_64, 64) >> 32
        threshold, scale = int(self._rate * 2**32), 1 / (1 - self._rate)
        return [
            xi * (scale if _mixed(key + GOLDEN_32 * unit, ROUNDS_32, 32) >= threshold else 0.0)
            for unit, xi in enumerate(x, start=site * len(x))
        ]


def batch_dropout(config: TrainConfig, step: int) -> list[Dropout]:
    """Return a `Dropout` for each document of a step. Steps are counted from 0."""
    first = step * config.batch_size
    return [Dropout(config.dropout, config.seed, first + i) for i in range(config.batch_size)]


def _mixed(x: int, rounds: Sequence[tuple[int, int]], n_bits: int) -> int:
    """Return an n_bits hash of x; each bit depends on all bits of x."""
    x %= 2**n_bits
    for shift, factor in rounds:
        x = (x ^ x >> shift) * factor % 2**n_bits
    return x
