"""Draw many numbers from `random.Random` generators at once, ten times faster than Python.

The generator is MT19937 (Matsumoto & Nishimura 1998). Its state is copied from Python and written
back. For many seeds, the generators are seeded in parallel.
"""

import math
import random
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from microgpt.engine.jit import EntryPoint, inlined, kernel
from microgpt.engine.simd.vector import Array

_N, _M = 624, 397  # number of state words, and the offset of the word mixed in by an update
_GROUP = 32  # number of generators seeded in parallel
FEW = 8  # for up to 8 seeds Python is faster: 7 us per seed, compared to 90 us per group of 32


def shuffled(n: int, rng: random.Random, n_first: int) -> Sequence[int]:
    """Shuffle range(n) like `rng.shuffle` and return the first n_first numbers."""
    order = np.arange(n, dtype=np.int64)
    state = _State(rng)
    _shuffle(state.words, order)
    state.write_back(rng)
    return array("q", order[:n_first].tobytes())


def gauss(n: int, sigma: float, rng: random.Random) -> NDArray[np.float64]:
    """Return the results of n calls to `rng.gauss(0, sigma)`."""
    numbers = np.empty(n, np.float64)
    state = _State(rng)
    _gauss(state.words, state.spare, numbers)
    state.write_back(rng)
    return numbers * sigma


def uniforms(seeds: Sequence[int], n: int) -> NDArray[np.float64]:
    """Return the first n numbers of `random.Random(seed)` for each seed, as (seeds, n).

    Seeds must be less than 2**64.
    """
    if len(seeds) <= FEW and n <= _N:
        rngs = map(random.Random, seeds)
        return np.array([[rng.random() for _ in range(n)] for rng in rngs]).reshape(-1, n)
    low, high = np.divmod(np.array(seeds, np.uint64), 2**32)[::-1]
    odd = np.where(high > 0, high + 1, low)  # number added in odd steps of CPython's init_by_array
    room = (0, -len(seeds) % _GROUP)
    keys = [np.pad(key, room).astype(np.uint32) for key in (low, odd)]
    numbers = np.empty((len(seeds), n), np.float64)
    _uniforms(numbers, *keys, np.empty(_N * _GROUP, np.uint32))
    return numbers


class _State:
    """The state of a `random.Random` generator as NumPy arrays."""

    def __init__(self, rng: random.Random) -> None:
        self._version, words, spare = rng.getstate()
        self.words = np.array(words, np.int64)  # the last element is the index of the next word
        self.spare = np.array([math.nan if spare is None else spare], np.float64)

    def write_back(self, rng: random.Random) -> None:
        spare = float(self.spare[0])
        words = tuple(self.words.tolist())
        rng.setstate((self._version, words, None if math.isnan(spare) else spare))


@EntryPoint
def _shuffle(words: Array, order: Array) -> None:
    """Shuffle `order` in place like `random.shuffle` (Fisher-Yates)."""
    for i in range(order.size - 1, 0, -1):
        n_bits = 0
        while (i + 1) >> n_bits:
            n_bits += 1
        j = i + 1
        while j > i:  # rejection sampling
            j = int(_word(words) >> 32 - n_bits)
        order[i], order[j] = order[j], order[i]


@EntryPoint
def _gauss(words: Array, spare: Array, numbers: Array) -> None:
    """Fill `numbers` with standard normal draws, as in `random.gauss` (Box & Muller 1958)."""
    for i in range(numbers.size):
        if not math.isnan(spare[0]):
            numbers[i] = spare[0]
            spare[0] = math.nan
        else:
            angle = _uniform(words) * (2.0 * math.pi)
            radius = math.sqrt(-2.0 * math.log(1.0 - _uniform(words)))
            numbers[i] = math.cos(angle) * radius
            spare[0] = math.sin(angle) * radius


@EntryPoint
def _uniforms(numbers: Array, even: Array, odd: Array, words: Array) -> None:
    """Fill each row of `numbers` with the uniform draws of one seed.

    `even` and `odd` are the arguments of `_seed`, padded to whole groups. `words` is scratch space
    for the states of a group; word i of generator k is at index i * _GROUP + k.
    """
    for first in range(0, numbers.shape[0], _GROUP):
        _seed(even[first : first + _GROUP], odd[first : first + _GROUP], words)
        for i in range(numbers.shape[1]):
            high, low = 2 * i % _N, (2 * i + 1) % _N
            _renew_row(words, high)
            _renew_row(words, low)
            for k in range(min(_GROUP, numbers.shape[0] - first)):
                pair = words[high * _GROUP + k], words[low * _GROUP + k]
                numbers[first + k, i] = _to_uniform(_tempered(pair[0]), _tempered(pair[1]))


@kernel
def _seed(even: Array, odd: Array, words: Array) -> None:
    """Seed a group of states like `random.seed`, alternately adding `even` and `odd` (_GROUP)."""
    word = 19650218
    for i in range(_N):
        words[i * _GROUP : (i + 1) * _GROUP].fill(word)
        word = (1812433253 * (word ^ word >> 30) + i + 1) & 0xFFFFFFFF
    i = 1
    for step in range(_N):
        added = odd if step % 2 else even
        before, here = _row(words, i - 1), _row(words, i)
        for k in range(_GROUP):
            mixed = (before[k] ^ before[k] >> 30) * 1664525
            here[k] = (here[k] ^ mixed) + added[k]
        i = _next_place(words, i)
    for _ in range(_N - 1):
        before, here = _row(words, i - 1), _row(words, i)
        for k in range(_GROUP):
            mixed = (before[k] ^ before[k] >> 30) * 1566083941
            here[k] = (here[k] ^ mixed) - i
        i = _next_place(words, i)
    _row(words, 0).fill(0x80000000)


@inlined
def _row(words: Array, i: int) -> Array:
    """Return a view of state word i of all generators."""
    return words[i * _GROUP : (i + 1) * _GROUP]


@kernel
def _next_place(words: Array, i: int) -> int:
    """Return the next index. After the last index, copy the last word to index 0 and return 1."""
    if i + 1 < _N:
        return i + 1
    first, last = _row(words, 0), _row(words, i)
    for k in range(_GROUP):
        first[k] = last[k]
    return 1


@kernel
def _renew_row(words: Array, i: int) -> None:
    """Update state word i of all generators; the words before i must be updated first."""
    here, after, far = _row(words, i), _row(words, (i + 1) % _N), _row(words, (i + _M) % _N)
    for k in range(_GROUP):
        here[k] = _twisted(here[k], after[k], far[k])


@kernel
def _uniform(words: Array) -> float:
    """Return the number that the next call of `random.random` would return."""
    high = _word(words)
    return _to_uniform(high, _word(words))


@kernel
def _to_uniform(high: int, low: int) -> float:
    """Convert 53 bits of two words to a number in [0, 1)."""
    return (float(high >> 5) * 67108864.0 + float(low >> 6)) / 9007199254740992.0


@kernel
def _word(words: Array) -> int:
    """Return the next 32 random bits."""
    if words[_N] >= _N:
        for i in range(_N):
            words[i] = _twisted(words[i], words[(i + 1) % _N], words[(i + _M) % _N])
        words[_N] = 0
    words[_N] += 1
    return _tempered(words[words[_N] - 1])


@kernel
def _twisted(word: int, after: int, far: int) -> int:
    """Return the update of `word`; `after` is the next word, `far` the word _M positions ahead."""
    y = (word & 0x80000000) | (after & 0x7FFFFFFF)
    return far ^ (y >> 1) ^ (0x9908B0DF if y & 1 else 0)


@kernel
def _tempered(y: int) -> int:
    """Apply the tempering of MT19937 to a state word."""
    y ^= y >> 11
    y ^= (y << 7) & 0x9D2C5680
    y ^= (y << 15) & 0xEFC60000
    return y ^ (y >> 18)
