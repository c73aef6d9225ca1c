"""Squares of numbers that are worked on in registers: products of matrices, and transposing.

Written in LLVM's language, as `simd` is, and for its reasons: here it is that numba could not keep
a tile in registers. This module knows nothing of models.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from microgpt.engine.simd import (
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
    context: Any, a: Any, i: Any, x: Any, j: Any, y: Any, add: Any, n_rows: Any, n_vectors: Any
) -> Any:
    """Set, or add to, a tile of y = a x: n_rows rows from i on, n_vectors vectors from column j on.

    The sums of the whole tile stay in registers. Each number of `a` that is read serves n_vectors
    multiplications, and each vector of x serves n_rows.

    Of a: (m, n) the strides may be any; x: (n, columns) and y: (m, columns) have contiguous rows.
    n_rows and n_vectors are literals, and `add` says whether to add.
    """
    kind, rows = VectorType(x.dtype), range(n_rows.literal_value)
    offsets = [v * kind.lanes for v in range(n_vectors.literal_value)]

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a, i, x, j, y, add = args[:6]
        a_type, _, x_type, _, y_type = sig.args[:5]
        columns = [builder.add(j, ir.Constant(INT64, offset)) for offset in offsets]
        array = context.make_array(a_type)(context, builder, a)
        row_stride, column_stride = cgutils.unpack_tuple(builder, array.strides)
        row_starts = [cgutils.pointer_add(builder, array.data, builder.mul(i, row_stride))]
        for _ in rows[1:]:
            row_starts.append(cgutils.pointer_add(builder, row_starts[-1], row_stride))
        zero = ir.Constant(context.get_value_type(kind), None)
        sums = [[cgutils.alloca_once(builder, zero.type) for _ in columns] for _ in rows]
        for sum_ in _flat(sums):
            builder.store(zero, sum_)
        n_terms = cgutils.unpack_tuple(builder, array.shape)[1]
        with cgutils.for_range(builder, n_terms) as loop:
            vectors = [
                emit_load(context, builder, x_type, x, loop.index, column) for column in columns
            ]
            offset = builder.mul(loop.index, column_stride)
            for row_start, row_sums in zip(row_starts, sums, strict=True):
                number = builder.load(cgutils.pointer_add(builder, row_start, offset))
                factor = emit_splat(builder, number, kind.lanes)
                for vector, sum_ in zip(vectors, row_sums, strict=True):
                    product = builder.fmul(factor, vector, flags=FMA)
                    builder.store(builder.fadd(builder.load(sum_), product, flags=FMA), sum_)
        with builder.if_then(add):
            for row, row_sums in zip(rows, sums, strict=True):
                for column, sum_ in zip(columns, row_sums, strict=True):
                    place = (builder.add(i, ir.Constant(INT64, row)), column)
                    before = emit_load(context, builder, y_type, y, *place)
                    builder.store(builder.fadd(before, builder.load(sum_)), sum_)
        for row, row_sums in zip(rows, sums, strict=True):
            for column, sum_ in zip(columns, row_sums, strict=True):
                place = (builder.add(i, ir.Constant(INT64, row)), column)
                emit_store(context, builder, y_type, y, *place, builder.load(sum_))
        return context.get_dummy_value()

    index, literals = types.intp, (n_rows, n_vectors)
    return types.void(a, index, x, index, y, types.boolean, *literals), emit


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


def _flat(rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [item for row in rows for item in row]
