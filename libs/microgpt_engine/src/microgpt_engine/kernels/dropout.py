"""Dropout on all columns at once, with the same masks as `microgpt.model_variants`.

The layout is "columns". Each column has an int32 key, from which the mask of its features is
computed. See docs/engine.md#vectors. Shapes: C = n_embd, N = columns.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from microgpt import GOLDEN_32, GOLDEN_64, ROUNDS_32, ROUNDS_64
from microgpt_engine.buffers import Buffers
from microgpt_engine.compiler import inlined, kernel
from microgpt_engine.kernel_settings import Settings
from microgpt_engine.simd.vector import (
    INT32,
    Array,
    Emitter,
    emit_splat,
    emitted,
    lanes,
    load,
    splat,
    store,
)

_GOLDEN = np.uint64(GOLDEN_64)
(_SHIFT_1, _FACTOR_1), (_SHIFT_2, _FACTOR_2), (_SHIFT_3, _) = (
    tuple(map(np.uint64, numbers)) for numbers in ROUNDS_64
)


@inlined
def draw_keys(b: Buffers, n_docs: int, config: Settings, first: int) -> float:
    """Set the dropout key of each column; return the dropout probability.

    `first` is the number of documents processed before this micro-batch.
    """
    rate: float = config.dropout
    for doc in range(n_docs if rate else 0):
        of_doc = _mixed(np.uint64(config.seed) + _GOLDEN * np.uint64(first + doc + 1))
        for n in range(b.doc_starts[doc], b.doc_starts[doc + 1]):
            key = _mixed(of_doc + _GOLDEN * np.uint64(n - b.doc_starts[doc] + 1))
            b.keys[0, n] = np.int32(key >> np.uint64(32))
    return rate


@kernel
def drop(x: Array, keys: Array, site: int, rate: float, y: Array, N: int) -> None:
    """Apply dropout at a site (see `forward`) to x and write the result to y; both are (C, N)."""
    C, threshold, scale = x.shape[0], int(rate * 2**32), splat(x, 1 / (1 - rate))
    for c in range(C):
        for n in range(0, N, lanes(x)):
            # Multiply by 0 instead of storing 0, so that dropped non-finite numbers become NaN.
            store(y, c, n, load(x, c, n) * _kept(scale, keys, n, site * C + c, threshold))


@kernel
def add_dropped(x: Array, keys: Array, site: int, rate: float, y: Array, N: int) -> None:
    """Apply dropout at a site (see `forward`) to x and add the result to y; both are (C, N)."""
    C, threshold, scale = x.shape[0], int(rate * 2**32), splat(x, 1 / (1 - rate))
    for c in range(C):
        for n in range(0, N, lanes(x)):
            kept = load(x, c, n) * _kept(scale, keys, n, site * C + c, threshold)
            store(y, c, n, load(y, c, n) + kept)


@kernel
def _mixed(x: Any) -> Any:
    x = (x ^ (x >> _SHIFT_1)) * _FACTOR_1
    x = (x ^ (x >> _SHIFT_2)) * _FACTOR_2
    return x ^ (x >> _SHIFT_3)


@emitted(lambda x, keys, n, unit, threshold: x(x, keys, types.intp, types.intp, types.intp))
def _kept(e: Emitter, x: Any, keys: Any, n: Any, unit: Any, threshold: Any) -> Any:
    """Return x with the lanes of dropped units set to 0; the first lane is column n."""
    builder, whole = e.builder, ir.VectorType(INT32, x.type.count)

    def number(value: int) -> Any:
        return ir.Constant(whole, [value] * whole.count)

    def splat(value: Any) -> Any:
        return emit_splat(builder, builder.trunc(value, INT32), whole.count)

    place = e.place(e.types[1], keys, ir.Constant(n.type, 0), n, whole)
    key = builder.load(place, align=4)
    draw = builder.add(key, builder.mul(splat(unit), number(GOLDEN_32)))
    for shift, factor in ROUNDS_32:
        draw = builder.xor(draw, builder.lshr(draw, number(shift)))
        if factor != 1:
            draw = builder.mul(draw, number(factor))
    is_kept = builder.icmp_unsigned(">=", draw, splat(threshold))
    return builder.select(is_kept, x, ir.Constant(x.type, None))
