"""Matrix multiplication and transposition of tiles that fit into registers.

Arrays have two dimensions. The numbers of a row are adjacent, except in the left factor, which can
be transposed. See docs/engine.md#products-of-matrices.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from microgpt_engine.simd.vector import (
    FMA,
    INT64,
    Emitter,
    VectorType,
    emit_splat,
    emitted,
    lane_numbers,
)


def _type_product(a: Any, i: Any, x: Any, j: Any, y: Any, add: Any, *literals: Any) -> Any:
    return types.void(a, types.intp, x, types.intp, y, types.boolean, *literals)


@emitted(_type_product, prefer_literal=True)
def multiply_tile(
    e: Emitter,
    a: Any,  # (m, n), arbitrary strides
    i: Any,
    x: Any,  # (n, columns), contiguous rows
    j: Any,
    y: Any,  # (m, columns), contiguous rows
    add: Any,
    n_rows: Any,
    n_vectors: Any,
    n_chains: Any,
) -> None:
    """Compute a tile of the product a x and write it to y, or add it to y if `add` is true.

    The tile has n_rows rows from row i on and n_vectors vectors from column j on. Its sums stay in
    registers. Each number read from `a` is used n_vectors times, and each vector of x n_rows times.
    A small tile has too few independent sums to hide the latency of additions, so each sum is split
    into n_chains sums. The last three arguments must be literals.
    """
    builder, y_type, literals = e.builder, e.types[4], e.types[6:]
    n_rows, n_vectors, n_chains = (literal.literal_value for literal in literals)
    n_lanes = VectorType(y_type.dtype).lanes
    rows = [builder.add(i, ir.Constant(INT64, row)) for row in range(n_rows)]
    columns = [builder.add(j, ir.Constant(INT64, v * n_lanes)) for v in range(n_vectors)]
    sums = _emit_sums(e, a, rows, x, columns, n_chains)
    places = [(row, column) for row in rows for column in columns]
    with builder.if_then(add):
        for place, sum_ in zip(places, sums, strict=True):
            before = e.load(y_type, y, *place)
            builder.store(builder.fadd(before, builder.load(sum_)), sum_)
    for place, sum_ in zip(places, sums, strict=True):
        e.store(y_type, y, *place, builder.load(sum_))


def _emit_sums(
    e: Emitter, a: Any, rows: Sequence[Any], x: Any, columns: Sequence[Any], n_chains: int
) -> Sequence[Any]:
    """Return variables that hold the sums of a tile, row by row, one per vector of columns."""
    builder, (a_type, _, x_type, *_) = e.builder, e.types
    kind = VectorType(x_type.dtype)
    zero = ir.Constant(e.context.get_value_type(kind), None)
    matrix = e.fields(a_type, a)
    row_stride, column_stride = cgutils.unpack_tuple(builder, matrix.strides)
    starts = [
        cgutils.pointer_add(builder, matrix.data, builder.mul(row, row_stride)) for row in rows
    ]
    chains = [
        [cgutils.alloca_once_value(builder, zero) for _ in range(len(rows) * len(columns))]
        for _ in range(n_chains)
    ]

    def add_terms(k: Any, sums: Sequence[Any]) -> None:
        vectors = [e.load(x_type, x, k, column) for column in columns]
        offset, places = builder.mul(k, column_stride), iter(sums)
        for start in starts:
            number = builder.load(cgutils.pointer_add(builder, start, offset))
            factor = emit_splat(builder, number, kind.lanes)
            for vector in vectors:
                sum_ = next(places)
                product = builder.fmul(factor, vector, flags=FMA)
                builder.store(builder.fadd(builder.load(sum_), product, flags=FMA), sum_)

    n_terms = cgutils.unpack_tuple(builder, matrix.shape)[1]
    share = builder.udiv(n_terms, ir.Constant(INT64, n_chains))
    firsts = [builder.mul(share, ir.Constant(INT64, number)) for number in range(n_chains + 1)]
    with cgutils.for_range(builder, share) as loop:
        for first, sums in zip(firsts, chains, strict=False):
            add_terms(builder.add(first, loop.index), sums)
    if n_chains > 1:  # add the remaining terms if n_chains does not divide n_terms
        with cgutils.for_range(builder, builder.sub(n_terms, firsts[-1])) as loop:
            add_terms(builder.add(firsts[-1], loop.index), chains[0])
    for other in chains[1:]:
        for sum_, more in zip(chains[0], other, strict=True):
            builder.store(builder.fadd(builder.load(sum_), builder.load(more)), sum_)
    return chains[0]


@emitted(lambda x, i, j, y, k, m: types.void(x, types.intp, types.intp, y, types.intp, types.intp))
def transpose_tile(e: Emitter, x: Any, i: Any, j: Any, y: Any, k: Any, m: Any) -> None:
    """Write the transpose of the (lanes, lanes) tile at x[i, j] to y[k, m]."""
    builder, x_type, y_type = e.builder, e.types[0], e.types[3]
    side = VectorType(x_type.dtype).lanes

    def below(row: Any, n: int) -> Any:
        return builder.add(row, ir.Constant(INT64, n))

    rows = [e.load(x_type, x, below(i, n), j) for n in range(side)]
    # Each pass swaps one bit of the row index with the same bit of the lane index.
    bit = side // 2
    while bit:
        upper = [lane if not lane & bit else side + lane - bit for lane in range(side)]
        lower = [lane + bit if not lane & bit else side + lane for lane in range(side)]
        for n in range(side):
            if not n & bit:
                pair = rows[n], rows[n + bit]
                rows[n] = builder.shuffle_vector(*pair, lane_numbers(upper))
                rows[n + bit] = builder.shuffle_vector(*pair, lane_numbers(lower))
        bit //= 2
    for n, row in enumerate(rows):
        e.store(y_type, y, below(k, n), m, row)
