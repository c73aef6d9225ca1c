"""MT19937 (Matsumoto & Nishimura 1998), the generator of `random.Random`; see `random_numbers`.

A state consists of N words of 32 bits and the index of the next word. A group of states has one row
per word and one column per generator. See docs/engine.md#the-same-numbers.
"""

import math

from microgpt_engine.compiler import kernel
from microgpt_engine.random_numbers import GROUP
from microgpt_engine.random_numbers import N_WORDS as N
from microgpt_engine.simd.vector import Array

M = 397  # the update of word i uses word i + M


def shuffle(words: Array, order: Array) -> None:
    """Shuffle `order` in place like `random.shuffle` (Fisher-Yates)."""
    for i in range(order.size - 1, 0, -1):
        n_bits = 0
        while (i + 1) >> n_bits:
            n_bits += 1
        j = i + 1
        while j > i:  # rejection sampling: draw again if j > i
            j = int(_word(words) >> 32 - n_bits)
        order[i], order[j] = order[j], order[i]


def gauss(words: Array, spare: Array, numbers: Array) -> None:
    """Fill `numbers` with standard normal draws, as in `random.gauss` (Box & Muller 1958).

    Like `random.gauss`, it calls log, cos and sin of the C library; no other kernel does.
    """
    for i in range(numbers.size):
        if not math.isnan(spare[0]):
            numbers[i] = spare[0]
            spare[0] = math.nan
        else:
            angle = _uniform(words) * (2.0 * math.pi)
            radius = math.sqrt(-2.0 * math.log(1.0 - _uniform(words)))
            numbers[i] = math.cos(angle) * radius
            spare[0] = math.sin(angle) * radius


def uniforms(numbers: Array, even: Array, odd: Array, words: Array) -> None:
    """Fill each row of `numbers` with the first numbers in [0, 1) that one seed generates.

    `even` and `odd` have one element per seed, padded to whole groups; see `_seed`. `words` is
    scratch for the states of a group; word i of generator k is at index i * GROUP + k.
    """
    for first in range(0, numbers.shape[0], GROUP):
        _seed(even[first : first + GROUP], odd[first : first + GROUP], words)
        for i in range(numbers.shape[1]):
            high, low = 2 * i % N, (2 * i + 1) % N
            _renew_row(words, high)
            _renew_row(words, low)
            for k in range(min(GROUP, numbers.shape[0] - first)):
                pair = words[high * GROUP + k], words[low * GROUP + k]
                numbers[first + k, i] = _to_uniform(_tempered(pair[0]), _tempered(pair[1]))


@kernel
def _seed(even: Array, odd: Array, words: Array) -> None:
    """Seed a group of states like `random.seed`; even steps add `even` (GROUP), odd ones `odd`."""
    word = 19650218
    for i in range(N):
        words[i * GROUP : (i + 1) * GROUP].fill(word)
        word = (1812433253 * (word ^ word >> 30) + i + 1) & 0xFFFFFFFF
    i = 1
    for step in range(N):
        added = odd if step % 2 else even
        before, here = words[(i - 1) * GROUP : i * GROUP], words[i * GROUP : (i + 1) * GROUP]
        for k in range(GROUP):
            mixed = (before[k] ^ before[k] >> 30) * 1664525
            here[k] = (here[k] ^ mixed) + added[k]
        i = _next_place(words, i)
    for _ in range(N - 1):
        before, here = words[(i - 1) * GROUP : i * GROUP], words[i * GROUP : (i + 1) * GROUP]
        for k in range(GROUP):
            mixed = (before[k] ^ before[k] >> 30) * 1566083941
            here[k] = (here[k] ^ mixed) - i
        i = _next_place(words, i)
    words[:GROUP].fill(0x80000000)


@kernel
def _next_place(words: Array, i: int) -> int:
    """Return the next index. After the last index, copy the last word to index 0 and return 1."""
    if i + 1 < N:
        return i + 1
    last = words[i * GROUP : (i + 1) * GROUP]
    for k in range(GROUP):
        words[k] = last[k]
    return 1


@kernel
def _renew_row(words: Array, i: int) -> None:
    """Update state word i of all generators; the words before i must be updated first."""
    next_one, mixed_in = (i + 1) % N, (i + M) % N
    here = words[i * GROUP : (i + 1) * GROUP]
    after = words[next_one * GROUP : (next_one + 1) * GROUP]
    far = words[mixed_in * GROUP : (mixed_in + 1) * GROUP]
    for k in range(GROUP):
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
    if words[N] >= N:
        for i in range(N):
            words[i] = _twisted(words[i], words[(i + 1) % N], words[(i + M) % N])
        words[N] = 0
    words[N] += 1
    return _tempered(words[words[N] - 1])


@kernel
def _twisted(word: int, after: int, far: int) -> int:
    """Return the update of `word`; `after` is the next word, `far` the word M positions ahead."""
    y = (word & 0x80000000) | (after & 0x7FFFFFFF)
    return far ^ (y >> 1) ^ (0x9908B0DF if y & 1 else 0)


@kernel
def _tempered(y: int) -> int:
    """Apply the tempering of MT19937 to a state word."""
    y ^= y >> 11
    y ^= (y << 7) & 0x9D2C5680
    y ^= (y << 15) & 0xEFC60000
    return y ^ (y >> 18)
