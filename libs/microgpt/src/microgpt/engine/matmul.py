"""Products of matrices, as `model.linear` and its gradients need them, for all columns at once.

In the engine an activation is an array of n features by N columns, a column a token; the tokens of
a micro-batch stand one after another, document by document. Its rows have room for whole vectors:
what a kernel writes behind the last column is never read as a result. The rows of a weight matrix,
too, are padded to whole vectors, with zeros that stay zeros. Shapes: C = n_embd, N = columns.
"""

from microgpt.engine.compiling import inlined, kernel
from microgpt.engine.simd import N_REGISTERS, Array, lanes
from microgpt.engine.tiles import multiply_tile, transpose_tile

HALF = N_REGISTERS // 8
TALL = N_REGISTERS // 4  # rows of a tile: two vectors each fill half of the registers with sums


@kernel
def linear(w: Array, x: Array, y: Array, n_columns: int, add: bool) -> None:
    """Set y = w x, or add w x to y: (m, n), (n, N) -> (m, N), for `model.linear`."""
    j, step = 0, lanes(x)
    while j + step < n_columns:  # two vectors wide as long as there is more than one
        _strip(w, x, j, y, add, 2)
        j += 2 * step
    if j < n_columns:
        linear_strip(w, x, y, j, add)


@kernel
def linear_strip(w: Array, x: Array, y: Array, j: int, add: bool) -> None:
    """Do what `linear` does, for one vector of columns from j on."""
    _strip(w, x, j, y, add, 1)


@inlined
def _strip(w: Array, x: Array, j: int, y: Array, add: bool, n_vectors: int) -> None:
    """Do it for n_vectors, a literal; with tiles that get smaller where the rows end."""
    n_rows, i = w.shape[0], 0
    while i + TALL <= n_rows:
        multiply_tile(w, i, x, j, y, add, TALL, n_vectors)
        i += TALL
    if i + HALF <= n_rows:
        multiply_tile(w, i, x, j, y, add, HALF, n_vectors)
        i += HALF
    if i + 2 <= n_rows:
        multiply_tile(w, i, x, j, y, add, 2, n_vectors)
        i += 2
    if i < n_rows:
        multiply_tile(w, i, x, j, y, add, 1, n_vectors)


@kernel
def add_outer(dy: Array, x_t: Array, dw: Array, n_columns: int) -> None:
    """Add dy x^T, the gradient of the weights of y = w x: (m, N), (N, n) -> (m, n).

    x comes transposed, so that its rows are vectors of n and no vector has to be added up.
    """
    linear(dy[:, :n_columns], x_t, dw, dw.shape[1], True)


@kernel
def transpose(x: Array, x_t: Array, n_rows: int, n_columns: int) -> None:
    """Write x to x_t, transposed: (n_rows, n_columns), both with room for whole vectors."""
    side = lanes(x)
    for i in range(0, n_rows, side):
        for j in range(0, n_columns, side):
            transpose_tile(x, i, j, x_t, j, i)
