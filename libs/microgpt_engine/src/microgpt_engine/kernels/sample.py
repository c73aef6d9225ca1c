"""Next-token sampling; compiled version of `sampling.sample`.

The layout is "rows": a row of logits has one number per token of the vocabulary. See
docs/engine.md#decoding. Shapes: V = vocab_size.
"""

import numpy as np

from microgpt_engine.buffers import NO_RULE, Rows, Sequences
from microgpt_engine.compiler import inlined, kernel
from microgpt_engine.simd.lanes import (
    count_at_most,
    from_lane,
    largest_lane,
    last_lane,
    running_sums,
    total,
)
from microgpt_engine.simd.vector import Array, exp, lanes, larger, load, splat, store

NOT_FINITE, NONE_ALLOWED = -1, -2  # error codes returned instead of a token


@inlined
def sample(r: Rows, row: int, s: Sequences, barred: int, uniform: float) -> int:
    """Return the next token, NOT_FINITE or NONE_ALLOWED; see `config.Sampling` for the settings.

    The row of logits is overwritten. Tokens with s.rules[token] >= barred are excluded. `uniform`
    is a random number in [0, 1).
    """
    logits, sums, V = r.logits, r.sums, r.logits.shape[1]
    if not _are_finite(logits, row):
        return NOT_FINITE
    if barred < NO_RULE:
        for i in range(V):
            if s.rules[i] >= barred:
                logits[row, i] = -np.inf
    peak = _peak(logits, row)
    if peak == -np.inf:
        return NONE_ALLOWED
    if s.temperature == 0:
        best = 0
        while logits[row, best] < peak:
            best += 1
        return best
    for i in range(0, V, lanes(logits)):
        score = load(logits, row, i) - peak
        store(sums, 0, i, score)
        store(logits, row, i, exp(score / s.temperature))
    if 0 < s.top_k < V or s.top_p < 1 or s.min_p > 0:
        _keep_likeliest(logits[row], sums[0], V, s.top_k, s.top_p, s.min_p, r.order)
    return _draw(logits, row, V, uniform, sums)


@inlined
def _are_finite(logits: Array, row: int) -> bool:
    zeros = splat(logits, 0)  # 0 times a non-finite number is NaN, which propagates to the sum
    for i in range(0, logits.shape[1], lanes(logits)):
        zeros = zeros + 0.0 * load(logits, row, i)
    return bool(total(zeros) == 0)


@inlined
def _peak(logits: Array, row: int) -> float:
    """Return the largest logit of a row and set the padding to -inf."""
    V, never = logits.shape[1], splat(logits, -np.inf)
    peaks = never
    for i in range(0, V, lanes(logits)):
        score = from_lane(V - i, never, load(logits, row, i))
        store(logits, row, i, score)
        peaks = larger(score, peaks)
    peak: float = largest_lane(peaks)
    return peak


@inlined
def _draw(weights: Array, row: int, V: int, uniform: float, sums: Array) -> int:
    """Return the first token whose cumulative weight exceeds uniform * the total weight.

    Lanes are added in pairs, so rounding can make a cumulative weight smaller than its predecessor.
    """
    step, mass = lanes(weights), splat(weights, 0)
    for i in range(0, V, step):
        so_far = mass + running_sums(load(weights, row, i))
        store(sums, 0, i, so_far)
        mass = splat(sums, last_lane(so_far))
    share, token = splat(sums, uniform) * mass, 0
    for i in range(0, V, step):
        token += count_at_most(load(sums, 0, i), share)
    token = min(token, V - 1)
    while weights[row, token] == 0:  # rounding can select an excluded token
        token -= 1
    return token


@kernel
def _keep_likeliest(
    weights: Array, logits: Array, V: int, top_k: int, top_p: float, min_p: float, order: Array
) -> None:
    """Zero the weights that top_k, top_p or min_p exclude. The largest weight must be 1."""
    if 0 < top_k < V:
        _keep(weights, logits, V, top_k, np.inf, order)
    if top_p < 1:
        _keep(weights, logits, V, V, top_p, order)
    for i in range(V):
        if weights[i] < min_p:
            weights[i] = 0


@kernel
def _keep(weights: Array, logits: Array, V: int, most: int, share: float, order: Array) -> None:
    """Zero all weights except those of the `most` tokens with the largest logits.

    Fewer weights are kept if they sum to at least the fraction `share` of the total weight. Of
    tokens with equal logits, the first are kept.
    """
    mass = 0.0
    for i in range(V):
        mass += weights[i]
        order[i] = i
    for i in range(V // 2 - 1, -1, -1):  # make `order` a max-heap by logit
        _sift(logits, i, V, order)
    kept, n = 0.0, V
    while n > V - most and (kept < share * mass or n == V):
        n -= 1
        order[0], order[n] = order[n], order[0]  # move the token with the largest logit to n
        _sift(logits, 0, n, order)
        kept += weights[order[n]]
    for i in range(n):
        weights[order[i]] = 0


@kernel
def _sift(logits: Array, i: int, n: int, order: Array) -> None:
    """Sift down the token at index i of a heap of n tokens."""
    while 2 * i + 1 < n:
        child = 2 * i + 1
        if child + 1 < n and _is_before(logits, order[child + 1], order[child]):
            child += 1
        if not _is_before(logits, order[child], order[i]):
            return
        order[i], order[child] = order[child], order[i]
        i = child


@kernel
def _is_before(logits: Array, a: int, b: int) -> bool:
    """Return whether token a is likelier than b, or equally likely with a lower index."""
    return bool(logits[a] > logits[b] or (logits[a] == logits[b] and a < b))
