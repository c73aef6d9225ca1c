"""Causal attention, for `Gpt.attention` and `model.softmax`, and its gradient.

A vector holds the same thing for several queries of one document and head: the keys are walked
through, and each is compared with all of those queries at once. So a document of n tokens costs
n²/2 comparisons and no padding, whatever the lengths of the others in the batch; and the scores of
one vector of queries are all that is in memory, however long the document (Rabe & Staats 2021, Dao
et al. 2022). The gradient computes them again.

The lanes behind a document's last query hold what comes next to it, and compute nonsense: it is
overwritten when the next document has its turn.

For the layout see `matmul`. Shapes: D = head_dim, T = block_size, N = columns.
"""

import math

import numpy as np

from microgpt.engine.compiling import inlined, kernel
from microgpt.engine.layers import clear
from microgpt.engine.matmul import linear_strip
from microgpt.engine.simd import Array, Vector, exp, from_lane, lanes, larger, load, splat, store
from microgpt.engine.tiles import transpose_tile


@kernel
def attention(
    qkv: Array,
    doc_starts: Array,
    n_docs: int,
    scores: Array,
    largest: Array,
    norms: Array,
    out: Array,
) -> None:
    """Set out to the mean of the values, weighted by how well each key answers the query.

    Args:
        qkv: queries, keys and values, one below the other: (3 C, N).
        doc_starts: the first column of each document, and the end of the last: (n_docs + 1).
        n_docs: the documents.
        scores: (T, lanes) to work in.
        largest: set to the largest score of each query, a row a head: (heads, N).
        norms: set to 1 / the sum of its exps: (heads, N).
        out: (C, N).
    """
    C, step = out.shape[0], lanes(out)
    D = C // largest.shape[0]
    q, k, v = qkv[:C], qkv[C : 2 * C], qkv[2 * C :]
    for head in range(largest.shape[0]):
        low, high = head * D, (head + 1) * D
        for doc in range(n_docs):
            start, stop = doc_starts[doc], doc_starts[doc + 1]
            for t in range(start, stop, step):  # the queries t, t + 1, …
                end = min(t + step, stop)  # none of them sees a key beyond
                linear_strip(k[low:high, start:end].T, q[low:high, t:], scores, 0, False)
                _softmax(scores, end - start, t - start, 1 / math.sqrt(D), largest, norms, head, t)
                linear_strip(v[low:high, start:end], scores, out[low:high, t:], 0, False)
                norm = load(norms, head, t)
                for c in range(low, high):
                    store(out, c, t, load(out, c, t) * norm)


@inlined
def _softmax(
    scores: Array,
    n_keys: int,
    n_before: int,
    scale: float,
    largest: Array,
    norms: Array,
    head: int,
    t: int,
) -> None:
    """Turn the scores of a vector of queries into exps; those of keys to come into 0."""
    never = splat(scores, -np.inf)
    peak = never
    for key in range(n_keys):
        score = from_lane(key - n_before, load(scores, key, 0) * scale, never)
        store(scores, key, 0, score)
        peak = larger(score, peak)
    total = splat(scores, 0)
    for key in range(n_keys):
        e = exp(load(scores, key, 0) - peak)
        store(scores, key, 0, e)
        total = total + e
    store(largest, head, t, peak)
    store(norms, head, t, 1 / total)


@kernel
def attention_backward(
    dout: Array,
    qkv: Array,
    doc_starts: Array,
    n_docs: int,
    scores: Array,
    dscores: Array,
    tile: Array,
    largest: Array,
    norms: Array,
    out: Array,
    dqkv: Array,
) -> None:
    """Set dqkv to the gradient of queries, keys and values: (3 C, N).

    Args:
        dout: the gradient of out: (C, N).
        qkv: see `attention`, as of all that is not below.
        doc_starts: see there.
        n_docs: see there.
        scores: see there.
        dscores: (T, lanes) to work in.
        tile: (lanes, lanes) to work in.
        largest: see there.
        norms: see there.
        out: see there.
        dqkv: (3 C, N).
    """
    C, step = out.shape[0], lanes(out)
    D = C // largest.shape[0]
    scale = 1 / math.sqrt(D)
    q, k, v = qkv[:C], qkv[C : 2 * C], qkv[2 * C :]
    dq, dk, dv = dqkv[:C], dqkv[C : 2 * C], dqkv[2 * C :]
    clear(dqkv[C:], doc_starts[n_docs])  # keys and values collect from many queries
    for head in range(largest.shape[0]):
        low, high = head * D, (head + 1) * D
        for doc in range(n_docs):
            start, stop = doc_starts[doc], doc_starts[doc + 1]
            for t in range(start, stop, step):
                end = min(t + step, stop)
                linear_strip(k[low:high, start:end].T, q[low:high, t:], scores, 0, False)
                linear_strip(v[low:high, start:end].T, dout[low:high, t:], dscores, 0, False)
                along = splat(out, 0)
                for c in range(low, high):
                    along = along + load(out, c, t) * load(dout, c, t)
                peak, norm = load(largest, head, t), load(norms, head, t)
                _softmax_backward(scores, dscores, end - start, t - start, scale, peak, norm, along)
                linear_strip(k[low:high, start:end], dscores, dq[low:high, t:], 0, False)
                for key in range(0, end - start, step):
                    u = start + key
                    transpose_tile(dscores, key, 0, tile, 0, 0)
                    linear_strip(q[low:high, t:end], tile, dk[low:high, u:], 0, True)
                    transpose_tile(scores, key, 0, tile, 0, 0)
                    linear_strip(dout[low:high, t:end], tile, dv[low:high, u:], 0, True)


@inlined
def _softmax_backward(
    scores: Array,
    dscores: Array,
    n_keys: int,
    n_before: int,
    scale: float,
    peak: Vector,
    norm: Vector,
    along: Vector,
) -> None:
    """Turn scores into weights, and the weights' gradient into that of the scores.

    Rows up to the next whole vector of keys are set to 0, for they will be transposed as well.
    """
    zero, step = splat(scores, 0), lanes(scores)
    for key in range(n_keys):
        weight = exp(load(scores, key, 0) * scale - peak) * norm
        weight = from_lane(key - n_before, weight, zero)
        store(scores, key, 0, weight)
        store(dscores, key, 0, weight * (load(dscores, key, 0) - along) * scale)
    for key in range(n_keys, (n_keys + step - 1) // step * step):
        store(scores, key, 0, zero)
        store(dscores, key, 0, zero)
