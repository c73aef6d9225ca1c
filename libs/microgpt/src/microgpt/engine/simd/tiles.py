"""Squares of numbers that are worked on in registers: products of matrices, and transposing.

Written in LLVM's language, as `simd` is, and for its reasons: here it is that numba could not keep
a tile in registers.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from microgpt.engine.simd.vector import (
    FMA,
    INT64,
    VectorType,
    emit_load,
    emit_splat,
    emit_store,
    lane_numbers,
)


@intrinsic(prefer_literal=True)
def multiply_tile(
    context: Any,
    a: Any,
    i: Any,
    x: Any,
    j: Any,
    y: Any,
    add: Any,
    n_rows: Any,
    n_vectors: Any,
    n_chains: Any,
) -> Any:
    """Set, or add to, a tile of y = a x: n_rows rows from i on, n_vectors vectors from column j on.

    The sums of the whole tile stay in registers. Each number of `a` that is read serves n_vectors
    multiplications, and each vector of x serves n_rows. A small tile has too few sums to keep the
    processor busy, because each addition waits for the one before: then a sum is split into
    n_chains, each of a share of the terms.

    Of a: (m, n) the strides may be any; x: (n, columns) and y: (m, columns) have contiguous rows.
    n_rows, n_vectors and n_chains are literals, and `add` says whether to add.
    """
    kind = VectorType(x.dtype)
    offsets = [v * kind.lanes for v in range(n_vectors.literal_value)]

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a, i, x, j, y, add = args[:6]
        a_type, _, x_type, _, y_type = sig.args[:5]
        columns = [builder.add(j, ir.Constant(INT64, offset)) for offset in offsets]
        rows = [builder.add(i, ir.Constant(INT64, row)) for row in range(n_rows.literal_value)]
        matrix = context.make_array(a_type)(context, builder, a)

        def load_x(k: Any) -> list[Any]:
            return [emit_load(context, builder, x_type, x, k, column) for column in columns]

        zero = ir.Constant(context.get_value_type(kind), None)
        sums = _sum_products(builder, matrix, rows, load_x, zero, n_chains.literal_value)
        places = [(row, column) for row in rows for column in columns]
        with builder.if_then(add):
            for place, sum_ in zip(places, sums, strict=True):
                before = emit_load(context, builder, y_type, y, *place)
                builder.store(builder.fadd(before, builder.load(sum_)), sum_)
        for place, sum_ in zip(places, sums, strict=True):
            emit_store(context, builder, y_type, y, *place, builder.load(sum_))
        return context.get_dummy_value()

    index, literals = types.intp, (n_rows, n_vectors, n_chains)
    return types.void(a, index, x, index, y, types.boolean, *literals), emit


def _sum_products(
    builder: Any,
    matrix: Any,
    rows: Sequence[Any],
    load_x: Callable[[Any], Sequence[Any]],
    zero: Any,
    n_chains: int,
) -> list[Any]:
    """Emit the loop over the terms; return where the sums are, row by row.

    Args:
        builder: LLVM's.
        matrix: a.
        rows: of a.
        load_x: emits the loading of the vectors of a row of x.
        zero: a vector.
        n_chains: how many sums each is split into.
    """
    row_stride, column_stride = cgutils.unpack_tuple(builder, matrix.strides)
    starts = [
        cgutils.pointer_add(builder, matrix.data, builder.mul(row, row_stride)) for row in rows
    ]
    n_sums = len(rows) * len(load_x(ir.Constant(INT64, 0)))
    chains = [
        [cgutils.alloca_once(builder, zero.type) for _ in range(n_sums)] for _ in range(n_chains)
    ]
    for sum_ in chain.from_iterable(chains):
        builder.store(zero, sum_)

    def add_terms(k: Any, sums: Sequence[Any]) -> None:
        vectors, offset, places = load_x(k), builder.mul(k, column_stride), iter(sums)
        for start in starts:
            number = builder.load(cgutils.pointer_add(builder, start, offset))
            factor = emit_splat(builder, number, zero.type.count)
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
    if n_chains > 1:  # what cannot be shared out
        with cgutils.for_range(builder, builder.sub(n_terms, firsts[-1])) as loop:
            add_terms(builder.add(firsts[-1], loop.index), chains[0])
    for other in chains[1:]:
        for sum_, more in zip(chains[0], other, strict=True):
            builder.store(builder.fadd(builder.load(sum_), builder.load(more)), sum_)
    return chains[0]


@intrinsic
def transpose_tile(context: Any, x: Any, i: Any, j: Any, y: Any, k: Any, m: Any) -> Any:
    """Write the square of one vector's side at x[i, j], transposed, to y[k, m]."""
    side = VectorType(x.dtype).lanes

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x, i, j, y, k, m = args
        x_type, y_type = sig.args[0], sig.args[3]

        def below(row: Any, n: int) -> Any:
            return builder.add(row, ir.Constant(INT64, n))

        rows = [emit_load(context, builder, x_type, x, below(i, n), j) for n in range(side)]
        # Each round swaps one bit of the row number with the same bit of the lane number.
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
            emit_store(context, builder, y_type, y, below(k, n), m, row)
        return context.get_dummy_value()

    index = types.intp
    return types.void(x, index, index, y, index, index), emit
