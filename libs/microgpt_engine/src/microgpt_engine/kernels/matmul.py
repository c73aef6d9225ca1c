"""Matrix products on all columns at once; compiled version of `model.linear` and its gradients.

Activations are columns, (n features, N tokens), and weights are (m outputs, n inputs); but in
`linear_rows`, activations are rows, and weights are panels. Kernels can overwrite the padding of
rows, which never affects a result. The padding of weights is always zero. See
docs/engine.md#products-of-matrices.
Shapes: C = n_embd, N = tokens.
"""

from microgpt_engine.compiler import inlined, kernel
from microgpt_engine.simd import N_REGISTERS
from microgpt_engine.simd.tiles import multiply_tile, transpose_tile
from microgpt_engine.simd.vector import Array, lanes

HALF = N_REGISTERS // 8
WIDE, HALF_WIDE = 8, 4  # widths of single-row tiles, in vectors
NARROW, CHAINS = 2, 4  # a result of up to NARROW vectors is computed as CHAINS sums per element
TALL = N_REGISTERS // 4  # rows of a tile; two vectors of sums per row fill half of the registers


@inlined
def linear(w: Array, x: Array, y: Array, n_columns: int) -> None:
    """Set y = w x, with shapes (m, n), (n, N) -> (m, N)."""
    multiply(w, x, y, n_columns, False)


@kernel
def multiply(w: Array, x: Array, y: Array, n_columns: int, add: bool) -> None:
    """Set y = w x, or add w x to y, with shapes (m, n), (n, N) -> (m, N)."""
    j, step = 0, lanes(x)
    while j + step < n_columns:  # process two vectors at once while more than one is left
        _strip(w, x, j, y, add, 2)
        j += 2 * step
    if j < n_columns:
        multiply_strip(w, x, y, j, add)


@kernel
def multiply_strip(w: Array, x: Array, y: Array, j: int, add: bool) -> None:
    """Compute one vector of columns of w x, from column j on; write it to y, or add it if `add`."""
    _strip(w, x, j, y, add, 1)


@inlined
def _strip(w: Array, x: Array, j: int, y: Array, add: bool, n_vectors: int) -> None:
    """Compute n_vectors vectors of columns, like `multiply_strip`; n_vectors must be a literal."""
    n_rows, i = w.shape[0], 0
    while i + TALL <= n_rows:
        multiply_tile(w, i, x, j, y, add, TALL, n_vectors, 1)
        i += TALL
    if i + HALF <= n_rows:
        multiply_tile(w, i, x, j, y, add, HALF, n_vectors, 1)
        i += HALF
    if i + 2 <= n_rows:
        multiply_tile(w, i, x, j, y, add, 2, n_vectors, 1)
        i += 2
    if i < n_rows:
        multiply_tile(w, i, x, j, y, add, 1, n_vectors, 1)


@inlined
def linear_rows(x: Array, N: int, panels: Array, y: Array) -> None:
    """Set y = x w^T for the first N rows of x, with shapes (N, n), (m, n) -> (N, m).

    `panels` is the result of `weight_layout.in_panels` for w. y is padded to whole vectors. The
    result for a row does not depend on N.
    """
    if N == 1 and y.shape[1] <= NARROW * lanes(x):  # inlined to avoid call overhead
        for j in range(0, y.shape[1], lanes(x)):
            multiply_tile(x, 0, panels, j, y, False, 1, 1, CHAINS)
    elif N == 1:
        _one_row(x, panels, y)
    else:
        _many_rows(x, N, panels, y)


@kernel
def _one_row(x: Array, panels: Array, y: Array) -> None:
    """Set y = x w^T for a single row x, using tiles wide enough to fill the registers."""
    step, n, width = lanes(x), x.shape[1], panels.shape[1]
    first = row = j = 0
    while first < y.shape[1]:
        panel, out, n_columns = panels[row : row + n], y[:, first:], min(width, y.shape[1] - first)
        j = 0
        if n_columns > (WIDE - 1) * step:
            multiply_tile(x, 0, panel, 0, out, False, 1, WIDE, 1)
            j = WIDE * step
        if j + HALF_WIDE * step <= n_columns:
            multiply_tile(x, 0, panel, j, out, False, 1, HALF_WIDE, 1)
            j += HALF_WIDE * step
        while j + step < n_columns:
            multiply_tile(x, 0, panel, j, out, False, 1, 2, 1)
            j += 2 * step
        if j < n_columns:
            multiply_tile(x, 0, panel, j, out, False, 1, 1, 1)
        first, row = first + width, row + n


@kernel
def _many_rows(x: Array, N: int, panels: Array, y: Array) -> None:
    """Set y = x w^T for the first N rows; for a narrow y, split the sums to hide latency."""
    n, m, width = x.shape[1], y.shape[1], panels.shape[1]
    if m > NARROW * lanes(x):
        first = row = 0
        while first < m:
            linear(x[:N], panels[row : row + n], y[:, first:], min(width, m - first))
            first, row = first + width, row + n
        return
    for j in range(0, m, lanes(x)):
        i = 0
        while i + HALF <= N:
            multiply_tile(x, i, panels, j, y, False, HALF, 1, CHAINS)
            i += HALF
        while i < N:
            multiply_tile(x, i, panels, j, y, False, 1, 1, CHAINS)
            i += 1


@kernel
def add_outer(dy: Array, x: Array, x_t: Array, dw: Array, n_columns: int) -> None:
    """Add dy x^T, the gradient of w in y = w x, to dw: (m, N), (n, N) -> (m, n).

    x is first transposed to x_t (N, n), which avoids sums over the lanes of a vector.
    """
    transpose(x, x_t, x.shape[0], n_columns)
    multiply(dy[:, :n_columns], x_t, dw, dw.shape[1], True)


@kernel
def transpose(x: Array, x_t: Array, n_rows: int, n_columns: int) -> None:
    """Write the transpose of x (n_rows, n_columns) to x_t; both are padded to whole vectors."""
    side = lanes(x)
    for i in range(0, n_rows, side):
        for j in range(0, n_columns, side):
            transpose_tile(x, i, j, x_t, j, i)
