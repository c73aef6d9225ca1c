"""Operations across the lanes of a vector, such as sums, maxima and counts.

A lane is a token in the layout "columns", and a feature in "rows". See docs/engine.md#vectors.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from microgpt_engine.simd.vector import INT32, INT64, Emitter, emit_splat, emitted, lane_numbers


@emitted(lambda first, a, b: a(types.intp, a, b))
def from_lane(e: Emitter, first: Any, a: Any, b: Any) -> Any:
    """Select `a` in lanes `first` and above, and `b` in the lanes below."""
    n = e.returns.lanes
    lane = ir.Constant(ir.VectorType(INT32, n), list(range(n)))
    bound = emit_splat(e.builder, e.builder.trunc(first, INT32), n)
    return e.builder.select(e.builder.icmp_signed(">=", lane, bound), a, b)


@emitted(lambda x: x.dtype(x))
def total(e: Emitter, x: Any) -> Any:
    """Return the sum of all lanes."""
    return _fold(e.builder, x, e.builder.fadd)


@emitted(lambda x: x.dtype(x))
def largest_lane(e: Emitter, x: Any) -> Any:
    """Return the largest number in any lane, or that of an arbitrary lane if one is NaN."""
    return _fold(
        e.builder, x, lambda a, b: e.builder.select(e.builder.fcmp_ordered(">", a, b), a, b)
    )


@emitted(lambda x: x(x))
def running_sums(e: Emitter, x: Any) -> Any:
    """Return the inclusive prefix sums of the lanes."""
    n, distance = x.type.count, 1
    zeros = ir.Constant(x.type, None)
    while distance < n:  # each lane is the sum of itself and up to distance - 1 lanes before it
        moved = lane_numbers([(i - distance) % (2 * n) for i in range(n)])
        x = e.builder.fadd(x, e.builder.shuffle_vector(x, zeros, moved))
        distance *= 2
    return x


@emitted(lambda x: x(x))
def swap_pairs(e: Emitter, x: Any) -> Any:
    """Exchange lanes 0 and 1, 2 and 3, and so on."""
    return e.builder.shuffle_vector(x, x, lane_numbers([i ^ 1 for i in range(x.type.count)]))


@emitted(lambda x: x.dtype(x))
def last_lane(e: Emitter, x: Any) -> Any:
    """Return the number in the last lane."""
    return e.builder.extract_element(x, ir.Constant(INT32, x.type.count - 1))


@emitted(lambda x, bound: types.intp(x, bound))
def count_at_most(e: Emitter, x: Any, bound: Any) -> Any:
    """Return the number of lanes in which x <= bound."""
    is_at_most = e.builder.fcmp_ordered("<=", x, bound)
    bits = e.builder.bitcast(is_at_most, ir.IntType(x.type.count))
    return e.builder.zext(e.builder.ctpop(bits), INT64)


def _fold(builder: Any, x: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Reduce the lanes by repeatedly combining the lower half with the upper half."""
    n = x.type.count
    while n > 1:
        n //= 2
        upper = builder.shuffle_vector(x, x, lane_numbers(range(n, 2 * n)))
        lower = builder.shuffle_vector(x, x, lane_numbers(range(n)))
        x = combine(lower, upper)
    return builder.extract_element(x, ir.Constant(INT32, 0))
