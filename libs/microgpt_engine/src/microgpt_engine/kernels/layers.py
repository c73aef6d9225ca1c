"""Embedding, rmsnorm and relu, and their gradients, on all columns at once.

The layout is "columns", but "rows" in `rmsnorm_rows`, `shift_row` and the result of `embed`.
See docs/engine.md#vectors. Shapes: C = n_embd, N = tokens.
"""

from microgpt_engine.buffers import Buffers, Rows
from microgpt_engine.compiler import inlined, kernel
from microgpt_engine.kernel_settings import Settings
from microgpt_engine.simd.lanes import total
from microgpt_engine.simd.vector import (
    Array,
    fence,
    lanes,
    load,
    splat,
    square_root,
    store,
    stream,
    where_positive,
)
from microgpt_engine.weight_layout import DecodeWeights, Weights


@inlined
def embed(
    w: Weights | DecodeWeights, read: Buffers | Rows, model: Settings, x_t: Array, N: int
) -> None:
    """Set x_t (N, C) to the sum of each token's embeddings; compiled `GptVariant.embedding`."""
    C, shift = model.n_embd, model.n_embd // 2
    for n in range(N):
        for c in range(0, w.wte.shape[1], lanes(w.wte)):
            x = load(w.wte, read.tokens[n], c)
            if w.wpe.shape[0]:
                x = x + load(w.wpe, read.positions[n], c)
            store(x_t, n, c, x)
        before = read.previous[n]
        if model.modern and before >= 0:
            for c in range(shift):
                x_t[n, c] += w.wte[before, C - shift + c]
            for c in range(shift, C):
                x_t[n, c] += w.wte[before, c - shift]


@inlined
def embed_backward(b: Buffers, model: Settings, dwte: Array, dwpe: Array, N: int) -> None:
    """Add the gradients in b.transposed (N, C) to dwte and dwpe, the gradients of wte and wpe."""
    dx_t, C, shift = b.transposed, model.n_embd, model.n_embd // 2
    for n in range(N):
        token, position, before = b.tokens[n], b.positions[n], b.previous[n]
        for c in range(0, dwte.shape[1], lanes(dwte)):
            dx = load(dx_t, n, c)
            store(dwte, token, c, load(dwte, token, c) + dx)
            if dwpe.shape[0]:
                store(dwpe, position, c, load(dwpe, position, c) + dx)
        if model.modern and before >= 0:
            for c in range(shift):
                dwte[before, C - shift + c] += dx_t[n, c]
            for c in range(shift, C):
                dwte[before, c - shift] += dx_t[n, c]


@kernel
def cut_at_starts(x: Array, cut: Array, shift: int, doc_starts: Array, n_docs: int) -> None:
    """Set the first `shift` rows of x (C, N) to 0 in the first column of each document.

    `rmsnorm` has written numbers of the previous document there; `cut` (C // 2, N) keeps these
    numbers for the backward pass. x must have a column after the last document.
    """
    for c in range(shift):
        x[c, 0] = 0
    for doc in range(1, n_docs + 1):
        for c in range(shift):
            cut[c, doc] = x[c, doc_starts[doc]]
            x[c, doc_starts[doc]] = 0


@kernel
def restore_at_starts(
    x: Array, dx: Array, cut: Array, shift: int, doc_starts: Array, n_docs: int
) -> None:
    """Undo `cut_at_starts`, and set the gradients dx of the restored numbers to 0."""
    for doc in range(1, n_docs + 1):
        for c in range(shift):
            x[c, doc_starts[doc]] = cut[c, doc]
            dx[c, doc_starts[doc]] = 0


@inlined
def shift_row(x: Array, row: int, position: int, shift: int, last: Array) -> None:
    """Swap the first `shift` numbers of a row with `last`; a row at position 0 gets zeros."""
    for c in range(shift):
        current = x[row, c]
        x[row, c] = last[c]
        if position == 0:
            x[row, c] = 0
        last[c] = current


@kernel
def rmsnorm(x: Array, normed: Array, scales: Array, layer: int, N: int, shift: int) -> None:
    """Set normed to the columns of x (C, N), scaled to a root mean square of 1; store the scales.

    The first `shift` rows of the result are moved to the next column; see `cut_at_starts`. If shift
    is not 0, normed must not be x.
    """
    C = x.shape[0]
    for n in range(0, N, lanes(x)):
        squares = splat(x, 0)
        for c in range(C):
            xc = load(x, c, n)
            squares = squares + xc * xc
        scale = 1 / square_root(squares / C + 1e-5)
        store(scales, layer, n, scale)
        for c in range(C):
            store(normed, c, n + (1 if c < shift else 0), load(x, c, n) * scale)


@inlined
def rmsnorm_rows(x: Array, normed: Array, N: int) -> None:
    """Set the rows of normed to those of x (N, C), scaled to a root mean square of 1."""
    C = x.shape[1]
    share = splat(x, 1 / C)
    for n in range(N):
        squares = splat(x, 0)
        for c in range(0, C, lanes(x)):
            xc = load(x, n, c)
            squares = squares + xc * xc
        scale = 1 / square_root(splat(x, total(squares)) * share + 1e-5)
        for c in range(0, C, lanes(x)):
            store(normed, n, c, load(x, n, c) * scale)


@kernel
def rmsnorm_backward(
    dnormed: Array, normed: Array, scales: Array, layer: int, dx: Array, N: int, shift: int
) -> None:
    """Add the gradient of rmsnorm: dx += scale * (dnormed - normed * mean(dnormed * normed)).

    The first `shift` rows of dnormed and normed are moved by one column; see `rmsnorm`.
    """
    C = normed.shape[0]
    for n in range(0, N, lanes(normed)):
        mean = splat(normed, 0)
        for c in range(C):
            i = n + (1 if c < shift else 0)
            mean = mean + load(dnormed, c, i) * load(normed, c, i)
        mean = mean / C
        scale = load(scales, layer, n)
        for c in range(C):
            i = n + (1 if c < shift else 0)
            change = load(dnormed, c, i) - load(normed, c, i) * mean
            store(dx, c, n, load(dx, c, n) + scale * change)


@kernel
def rmsnorm_backward_in_place(dx: Array, normed: Array, scales: Array, layer: int, N: int) -> None:
    """Replace dx, the gradient of normed (C, N), with the gradient of the input of rmsnorm."""
    C = normed.shape[0]
    for n in range(0, N, lanes(normed)):
        mean = splat(normed, 0)
        for c in range(C):
            mean = mean + load(dx, c, n) * load(normed, c, n)
        mean, scale = mean / C, load(scales, layer, n)
        for c in range(C):
            store(dx, c, n, scale * (load(dx, c, n) - load(normed, c, n) * mean))


@inlined
def relu(x: Array, n_rows: int, n_columns: int, model: Settings) -> None:
    """Apply ReLU, squared unless the model is Karpathy's, in place to x[:n_rows, :n_columns]."""
    zero = splat(x, 0)
    for i in range(n_rows):
        for n in range(0, n_columns, lanes(x)):
            xi = load(x, i, n)
            xi = where_positive(xi, xi, zero)
            store(x, i, n, xi if model.karpathy else xi * xi)


@inlined
def relu_backward(dx: Array, x: Array, model: Settings, N: int) -> None:
    """Replace the gradient dx of x, the output of `relu`, with the gradient of its input."""
    zero = splat(x, 0)
    for i in range(x.shape[0]):
        for n in range(0, N, lanes(x)):
            xi, dxi = load(x, i, n), load(dx, i, n)
            if not model.karpathy:
                dxi = 2.0 * square_root(xi) * dxi
            store(dx, i, n, where_positive(xi, dxi, zero))


@kernel
def copy(x: Array, y: Array, N: int) -> None:
    """Copy x to y; both are (n, N)."""
    for i in range(x.shape[0]):
        for n in range(0, N, lanes(x)):
            store(y, i, n, load(x, i, n))


@kernel
def clear(x: Array, N: int) -> None:
    """Set x (n, N) to 0."""
    zero = splat(x, 0)
    for i in range(x.shape[0]):
        for n in range(0, N, lanes(x)):
            store(x, i, n, zero)


@inlined
def add(x: Array, y: Array, n_rows: int) -> None:
    """Add the first n_rows rows of x to y; rows are padded to whole vectors."""
    for i in range(n_rows):
        for j in range(0, x.shape[1], lanes(x)):
            store(y, i, j, load(y, i, j) + load(x, i, j))


@kernel
def add_and_clear(x: Array, y: Array) -> None:
    """Add x to y and set x to 0; rows are padded to whole vectors."""
    zero = splat(x, 0)
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            store(y, i, j, load(y, i, j) + load(x, i, j))
            store(x, i, j, zero)


@inlined
def publish(x: Array, for_others: Array) -> None:
    """Copy x to `for_others`, an array for other threads, bypassing the caches."""
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            stream(for_others, i, j, load(x, i, j))
    fence()
