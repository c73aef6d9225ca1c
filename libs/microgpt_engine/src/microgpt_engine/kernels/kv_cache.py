"""KV cache, and attention over the cached tokens.

Keys are stored in groups of as many tokens as a vector has lanes, one row per feature, so that the
scores of a query and a group are one vector. Values have one row per token, so that the output is
a weighted sum of rows. Each query is processed alone, so its result does not depend on the batch.
See docs/engine.md#decoding. Shapes: C = n_embd, D = head_dim, L = n_layer, T = block_size.
"""

import numpy as np

from microgpt_engine.buffers import Rows
from microgpt_engine.compiler import inlined
from microgpt_engine.kernel_settings import Settings
from microgpt_engine.kernels.rotary import score_scale
from microgpt_engine.simd.lanes import from_lane, largest_lane
from microgpt_engine.simd.vector import Array, Vector, exp, lanes, larger, load, splat, store


@inlined
def store_key_value(r: Rows, row: int, model: Settings, keys: Array, values: Array) -> None:
    """Copy the key and value of a token from a row of r.qkv to the cache of a layer."""
    step, C, T, position = lanes(r.qkv), model.n_embd, r.attn_weights.shape[1], r.positions[row]
    D = C // model.n_head
    lane, place = position % step, position // step * D
    for head in range(model.n_head):
        for d in range(D):
            keys[place + d, lane] = r.qkv[row, C + head * D + d]
        place += (T + step - 1) // step * D
    for c in range(0, C, step):
        store(values, c // step * T + position, 0, load(r.qkv, row, 2 * C + c))


@inlined
def cached_attention(r: Rows, row: int, model: Settings, keys: Array, values: Array) -> None:
    """Set a row of r.attn_out to the attention-weighted mean of the values; see `KVCache`.

    Each loop over the heads has a short body, so that the processor can overlap several heads.
    """
    weights, out, n_keys = r.attn_weights, r.attn_out, r.positions[row] + 1  # + 1: this token's key
    D, T = model.n_embd // model.n_head, weights.shape[1]
    _compare(r.qkv, row, n_keys, model.n_head, D, keys, weights)
    _exponentiate(weights, n_keys, model.n_head, score_scale(model))
    for head in range(model.n_head):
        low = head * D
        for c in range(low // lanes(out) * lanes(out), low + D, lanes(out)):
            mean = _mean(values, c // lanes(out) * T, weights, head, n_keys)
            # The next head overwrites the lanes after this head.
            store(out, row, c, from_lane(low - c, mean, load(out, row, c)))


@inlined
def _compare(
    qkv: Array, row: int, n_keys: int, n_head: int, D: int, keys: Array, scores: Array
) -> None:
    """Set scores (n_head, T) to the dot products of a query and the keys, -inf for future keys."""
    step, never, block, T = lanes(scores), splat(scores, -np.inf), 0, scores.shape[1]
    for head in range(n_head):
        low = head * D
        for t in range(0, n_keys, step):  # one vector of tokens per iteration
            score = splat(scores, 0)
            for d in range(D):
                score = score + qkv[row, low + d] * load(keys, block + d, 0)
            store(scores, head, t, from_lane(n_keys - t, never, score))
            block += D
        block += ((T + step - 1) // step - (n_keys + step - 1) // step) * D


@inlined
def _exponentiate(scores: Array, n_keys: int, n_head: int, scale: float) -> None:
    """Replace the scores (n_head, T) with unnormalized attention weights."""
    for head in range(n_head):
        peaks = splat(scores, -np.inf)
        for t in range(0, n_keys, lanes(scores)):
            peaks = larger(load(scores, head, t), peaks)
        peak = largest_lane(peaks)
        for t in range(0, n_keys, lanes(scores)):
            store(scores, head, t, exp((load(scores, head, t) - peak) * scale))


@inlined
def _mean(values: Array, first: int, weights: Array, head: int, n_keys: int) -> Vector:
    """Return the weighted mean of n_keys rows of values, starting at row `first`."""
    a = b = total_a = total_b = splat(values, 0)  # two independent sums, to hide latency
    for t in range(0, n_keys - 1, 2):
        weight_a, weight_b = splat(values, weights[head, t]), splat(values, weights[head, t + 1])
        a = a + weight_a * load(values, first + t, 0)
        b = b + weight_b * load(values, first + t + 1, 0)
        total_a, total_b = total_a + weight_a, total_b + weight_b
    if n_keys % 2:
        weight_a = splat(values, weights[head, n_keys - 1])
        a = a + weight_a * load(values, first + n_keys - 1, 0)
        total_a = total_a + weight_a
    return (a + b) / (total_a + total_b)
