"""Many draws from a `random.Random` at once: the same numbers, ten times as fast.

Python's generator (MT19937, Matsumoto & Nishimura 1998) is taken up where it stands, drawn from,
and set to where that leaves it. This module knows nothing of what the numbers are for.
"""

import math
import random

import numpy as np
from numpy.typing import NDArray

from microgpt.engine.compiling import EntryPoint, kernel
from microgpt.engine.simd import Array

_N, _M = 624, 397  # words of the state, and how far ahead a word is mixed with


def shuffled(n: int, rng: random.Random) -> list[int]:
    """Return 0 … n−1 in the order that `rng.shuffle` gives."""
    order = np.arange(n)
    state = _State(rng)
    _shuffle(state.words, order)
    state.hand_back(rng)
    numbers: list[int] = order.tolist()
    return numbers


def gauss(n: int, sigma: float, rng: random.Random) -> NDArray[np.float64]:
    """Return what n calls of `rng.gauss(0, sigma)` return."""
    numbers = np.empty(n)
    state = _State(rng)
    _gauss(state.words, state.spare, numbers)
    state.hand_back(rng)
    return numbers * sigma


class _State:
    """The state of a `random.Random` in arrays."""

    def __init__(self, rng: random.Random) -> None:
        self._version, words, spare = rng.getstate()
        self.words = np.array(words)  # the last is the index of the next to be used
        self.spare = np.array([math.nan if spare is None else spare])

    def hand_back(self, rng: random.Random) -> None:
        spare = float(self.spare[0])
        words = tuple(self.words.tolist())
        rng.setstate((self._version, words, None if math.isnan(spare) else spare))


@EntryPoint
def _shuffle(words: Array, order: Array) -> None:
    """Shuffle as `random.shuffle` does (Fisher & Yates)."""
    for i in range(order.size - 1, 0, -1):
        n_bits = 0
        while (i + 1) >> n_bits:
            n_bits += 1
        j = i + 1
        while j > i:  # draw as many bits until the number is small enough
            j = int(_word(words) >> 32 - n_bits)
        order[i], order[j] = order[j], order[i]


@EntryPoint
def _gauss(words: Array, spare: Array, numbers: Array) -> None:
    """Fill with standard gaussians, two from two uniforms (Box & Muller 1958), as Python does."""
    for i in range(numbers.size):
        if not math.isnan(spare[0]):
            numbers[i] = spare[0]
            spare[0] = math.nan
        else:
            angle = _uniform(words) * (2.0 * math.pi)
            radius = math.sqrt(-2.0 * math.log(1.0 - _uniform(words)))
            numbers[i] = math.cos(angle) * radius
            spare[0] = math.sin(angle) * radius


@kernel
def _uniform(words: Array) -> float:
    """Return what `random.random` does: 53 bits of two words."""
    high, low = _word(words) >> 5, _word(words) >> 6
    return (float(high) * 67108864.0 + float(low)) / 9007199254740992.0


@kernel
def _word(words: Array) -> int:
    """Return the next 32 bits."""
    if words[_N] >= _N:
        _renew(words)
        words[_N] = 0
    y = words[words[_N]]
    words[_N] += 1
    y ^= y >> 11
    y ^= (y << 7) & 0x9D2C5680
    y ^= (y << 15) & 0xEFC60000
    word: int = y ^ (y >> 18)
    return word


@kernel
def _renew(words: Array) -> None:
    """Make the next 624 words from the last."""
    for i in range(_N):
        y = (words[i] & 0x80000000) | (words[(i + 1) % _N] & 0x7FFFFFFF)
        mixed = words[(i + _M) % _N] ^ (y >> 1)
        words[i] = mixed ^ (0x9908B0DF if y & 1 else 0)
