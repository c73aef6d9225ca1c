"""Causal attention and its gradient; compiled version of `Gpt.attention` and `model.softmax`.

Each vector contains several queries of one document and head, all multiplied by the same key.
Lanes after the last query of a document belong to the next document. Their results are wrong, but
are overwritten when the next document is processed.

The layout is "columns"; a head has D adjacent rows. The attention weights of a vector of queries
have a row per key and a lane per query. See docs/engine.md#attention.
Shapes: C = n_embd, D = head_dim, N = columns.
"""

import numpy as np

from microgpt_engine.compiler import inlined, kernel
from microgpt_engine.kernel_settings import Settings
from microgpt_engine.kernels.layers import clear
from microgpt_engine.kernels.matmul import multiply_strip
from microgpt_engine.kernels.rotary import score_scale
from microgpt_engine.simd.lanes import from_lane
from microgpt_engine.simd.tiles import transpose_tile
from microgpt_engine.simd.vector import Array, Vector, exp, lanes, larger, load, splat, store, view


@kernel
def attention(
    qkv: Array,  # (3 C, N), stacked queries, keys and values
    model: Settings,
    doc_starts: Array,  # (n_docs + 1), first column of each document, and total number of columns
    n_docs: int,
    weights: Array,  # (rows, lanes), output: attention weights for `attention_backward`
    out: Array,  # (C, N)
) -> None:
    """Set `out` to the attention-weighted mean of the values.

    The weights of a vector of queries have one row per key, zero-padded to a multiple of `lanes`.
    """
    C, step, row, scale = out.shape[0], lanes(out), 0, score_scale(model)
    D = C // model.n_head
    q, k, v = qkv[:C], qkv[C : 2 * C], qkv[2 * C :]
    for head in range(model.n_head):
        low, high = head * D, (head + 1) * D
        for doc in range(n_docs):
            start, stop = doc_starts[doc], doc_starts[doc + 1]
            for t in range(start, stop, step):  # one vector of queries: t, t + 1, …
                end = min(t + step, stop)  # the queries attend to keys start to end - 1
                n_keys = end - start
                seen = weights[row : row + n_keys]
                keys, values = view(k, low, high, start, end), view(v, low, high, start, end)
                multiply_strip(keys.T, view(q, low, high, t, t + step), seen, 0, False)
                _softmax(seen, t - start, scale)
                multiply_strip(values, seen, view(out, low, high, t, t + step), 0, False)
                row += n_keys
                while n_keys % step:
                    store(weights, row, 0, splat(out, 0))
                    row, n_keys = row + 1, n_keys + 1


@inlined
def _softmax(scores: Array, n_before: int, scale: float) -> None:
    """Replace the scores of a vector of queries with weights, which are 0 for future keys."""
    never = splat(scores, -np.inf)
    peak = never
    for key in range(n_before):
        peak = larger(load(scores, key, 0), peak)
    for key in range(n_before, scores.shape[0]):  # keys that are not visible to all queries
        score = from_lane(key - n_before, load(scores, key, 0), never)
        store(scores, key, 0, score)
        peak = larger(score, peak)
    total = splat(scores, 0)
    for key in range(scores.shape[0]):
        e = exp((load(scores, key, 0) - peak) * scale)
        store(scores, key, 0, e)
        total = total + e
    norm = 1 / total
    for key in range(scores.shape[0]):
        store(scores, key, 0, load(scores, key, 0) * norm)


@kernel
def attention_backward(
    dout: Array,  # (C, N)
    qkv: Array,  # see `attention` for the arguments up to `out`
    model: Settings,
    doc_starts: Array,
    n_docs: int,
    weights: Array,
    out: Array,
    dscores: Array,  # (padded length of the longest document, lanes), scratch
    tile: Array,  # (lanes, lanes), scratch
    dqkv: Array,
) -> None:
    """Set dqkv (3 C, N) to the gradients of the queries, keys and values."""
    C, step, row, scale = out.shape[0], lanes(out), 0, score_scale(model)
    D = C // model.n_head
    q, k, v = qkv[:C], qkv[C : 2 * C], qkv[2 * C :]
    dq, dk, dv = dqkv[:C], dqkv[C : 2 * C], dqkv[2 * C :]
    clear(dqkv[C:], doc_starts[n_docs])  # set to 0, because each query adds its gradients
    for head in range(model.n_head):
        low, high = head * D, (head + 1) * D
        for doc in range(n_docs):
            start, stop = doc_starts[doc], doc_starts[doc + 1]
            for t in range(start, stop, step):
                end = min(t + step, stop)
                keys, values = view(k, low, high, start, end), view(v, low, high, start, end)
                multiply_strip(values.T, view(dout, low, high, t, t + step), dscores, 0, False)
                # The gradient of softmax subtracts the sum of weight times gradient over all keys,
                # which equals the sum of out times dout over all features (Dao et al. 2022, B.2).
                along = splat(out, 0)
                for c in range(low, high):
                    along = along + load(out, c, t) * load(dout, c, t)
                _softmax_backward(weights, row, dscores, end - start, scale, along)
                multiply_strip(keys, dscores, view(dq, low, high, t, t + step), 0, False)
                queries, douts = view(q, low, high, t, end), view(dout, low, high, t, end)
                for u in range(start, end, step):  # one vector of keys: u, u + 1, …
                    transpose_tile(dscores, u - start, 0, tile, 0, 0)
                    multiply_strip(queries, tile, view(dk, low, high, u, u + step), 0, True)
                    transpose_tile(weights, row, 0, tile, 0, 0)
                    multiply_strip(douts, tile, view(dv, low, high, u, u + step), 0, True)
                    row += step


@inlined
def _softmax_backward(
    weights: Array, row: int, dscores: Array, n_keys: int, scale: float, along: Vector
) -> None:
    """Replace the gradient of the attention weights in dscores with the gradient of the scores."""
    for key in range(n_keys):
        change = load(dscores, key, 0) - along
        store(dscores, key, 0, load(weights, row + key, 0) * change * scale)
    step = lanes(dscores)
    for key in range(n_keys, (n_keys + step - 1) // step * step):  # pad with zeros to whole tiles
        store(dscores, key, 0, splat(dscores, 0))
