"""Decode many sequences token by token; compiled version of `sampling.decode` and `Gpt.forward`.

Each decoding step reads one token of every active sequence, or several tokens of a prompt. Only the
matrix products process several rows together, so the result of a sequence does not depend on the
other sequences.

The layout is "rows": each token of a step is a row. See docs/engine.md#decoding.
Shapes: C = n_embd, D = head_dim, V = vocab_size, L = n_layer, T = block_size, N = rows,
n = sequences.
"""

from microgpt_engine.buffers import (
    BROKEN,
    FULL,
    RUNNING,
    STOP,
    STOPPED,
    STUCK,
    DecodeArrays,
    KVCache,
    Rows,
    Sequences,
)
from microgpt_engine.compiler import inlined
from microgpt_engine.kernel_settings import Settings
from microgpt_engine.kernels.kv_cache import cached_attention, store_key_value
from microgpt_engine.kernels.layers import add, embed, relu, rmsnorm_rows, shift_row
from microgpt_engine.kernels.matmul import linear_rows
from microgpt_engine.kernels.rotary import adjust_row
from microgpt_engine.kernels.sample import NONE_ALLOWED, NOT_FINITE, sample
from microgpt_engine.simd.vector import lanes, load, store
from microgpt_engine.weight_layout import DecodeWeights


def decode(
    weights: DecodeWeights, arrays: DecodeArrays, s: Sequences, model: Settings, n_tokens: int
) -> int:
    """Decode until no sequence is RUNNING or n_tokens are read; return the number of tokens read.

    At least one decoding step is executed.
    """
    rows, read = arrays.rows, 0
    while read < n_tokens:
        N = _schedule(s, rows, rows.attn_weights.shape[1])
        if N == 0:
            break
        read += N
        _forward(weights, arrays.cache, rows, model, N)
        n_last = _gather_last(s, rows, N)
        if not model.karpathy:
            rmsnorm_rows(rows.x, rows.x, n_last)
        linear_rows(rows.x, n_last, weights.lm_head, rows.logits)
        for row in range(n_last):
            _continue(s, rows.sequences[row], rows, row)
    return read


@inlined
def _schedule(s: Sequences, rows: Rows, T: int) -> int:
    """Select the tokens for the next decoding step; return the number of tokens.

    A full context is replaced with the first token and the last T // 2 tokens of the sequence.
    """
    N = 0
    for slot in range(s.slots.size):
        i = s.slots[slot]
        if (i < 0 or s.status[i] != RUNNING) and s.n_started[0] < s.status.size:
            i = s.n_started[0]
            s.slots[slot] = i
            s.n_started[0] += 1
        if i >= 0 and s.status[i] == RUNNING:
            if s.n_tokens[i] - s.first[i] > T:
                s.first[i] = s.n_read[i] = s.n_tokens[i] - min(T, 1 + T // 2)
            while s.n_read[i] < s.n_tokens[i] and rows.tokens.size > N:
                t = s.n_read[i] - s.first[i]
                rows.tokens[N] = s.tokens[i, s.n_read[i] if t or T == 1 else 0]
                rows.previous[N] = s.tokens[i, s.n_read[i] - 1 if t > 1 else 0] if t else -1
                rows.positions[N] = t
                rows.slots[N] = slot
                s.n_read[i] += 1
                N += 1
    return N


@inlined
def _forward(weights: DecodeWeights, cache: KVCache, rows: Rows, model: Settings, N: int) -> None:
    """Write the residual stream of N tokens to rows.x; write keys and values to the cache."""
    w, r, shift = weights, rows, model.n_embd // 2 if model.modern else 0
    embed(w, r, model, r.x, N)
    rmsnorm_rows(r.x, r.x, N)
    for layer in range(w.attn_wo.shape[0]):
        keys, values = cache.keys[:, layer], cache.values[:, layer]
        rmsnorm_rows(r.x, r.normed, N)
        linear_rows(r.normed, N, w.attn_wqkv[layer], r.qkv)
        for n in range(N):
            adjust_row(r.qkv, n, r.positions[n], model)
            store_key_value(r, n, model, keys[r.slots[n]], values[r.slots[n]])
        for n in range(N):
            cached_attention(r, n, model, keys[r.slots[n]], values[r.slots[n]])
        linear_rows(r.attn_out, N, w.attn_wo[layer], r.normed)
        add(r.normed, r.x, N)
        rmsnorm_rows(r.x, r.normed, N)
        if shift > 0:
            for n in range(N):
                shift_row(r.normed, n, r.positions[n], shift, cache.mlp_in[r.slots[n], layer])
        linear_rows(r.normed, N, w.mlp_fc1[layer], r.hidden)
        relu(r.hidden, N, r.hidden.shape[1], model)
        linear_rows(r.hidden, N, w.mlp_fc2[layer], r.normed)
        add(r.normed, r.x, N)


@inlined
def _gather_last(s: Sequences, rows: Rows, N: int) -> int:
    """Move the row of each sequence's last token to the front; return the number of such rows."""
    x, n_last = rows.x, 0
    for row in range(N):
        i = s.slots[rows.slots[row]]
        if rows.positions[row] == s.n_tokens[i] - 1 - s.first[i]:
            for c in range(0, x.shape[1], lanes(x)):
                store(x, n_last, c, load(x, row, c))
            rows.sequences[n_last] = i
            n_last += 1
    return n_last


@inlined
def _continue(s: Sequences, i: int, rows: Rows, row: int) -> None:
    """Sample the next token of sequence i from a row of logits, or end the sequence."""
    n_new = s.n_tokens[i] - s.n_prompt[i]
    barred = STOP if n_new < s.min_tokens else s.barred
    token = sample(rows, row, s, barred, s.uniforms[i, n_new])
    if token == NOT_FINITE:
        s.status[i] = BROKEN
    elif token == NONE_ALLOWED:
        s.status[i] = STUCK
    else:
        s.tokens[i, s.n_tokens[i]] = token  # a stop token is stored but not counted
        if s.rules[token] == STOP:
            s.status[i] = STOPPED
            return
        s.n_tokens[i] += 1
        if s.n_tokens[i] == s.goals[i]:
            s.status[i] = FULL
