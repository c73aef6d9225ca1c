"""Vectors within: what is done with the lanes of one vector, rather than lane by lane."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from microgpt.engine.simd.vector import INT32, INT64, emit_splat, lane_numbers


@intrinsic
def from_lane(context: Any, first: Any, a: Any, b: Any) -> Any:
    """Return a in the lanes from `first` on, and b in those before."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        n = sig.return_type.lanes
        lane = ir.Constant(ir.VectorType(INT32, n), list(range(n)))
        bound = emit_splat(builder, builder.trunc(args[0], INT32), n)
        return builder.select(builder.icmp_signed(">=", lane, bound), args[1], args[2])

    return a(types.intp, a, b), emit


@intrinsic
def total(context: Any, x: Any) -> Any:
    """Return the sum of the lanes."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _fold(builder, args[0], builder.fadd)

    return x.dtype(x), emit


@intrinsic
def largest_lane(context: Any, x: Any) -> Any:
    """Return the largest of the lanes; where one is not a number, any of them."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        def larger(a: Any, b: Any) -> Any:
            return builder.select(builder.fcmp_ordered(">", a, b), a, b)

        return _fold(builder, args[0], larger)

    return x.dtype(x), emit


@intrinsic
def running_sums(context: Any, x: Any) -> Any:
    """Return the sum of each lane and all before it."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        (x,) = args
        n, distance = x.type.count, 1
        zeros = ir.Constant(x.type, None)
        while distance < n:  # each lane has the sum of `distance` lanes, and adds those before
            moved = lane_numbers([(i - distance) % (2 * n) for i in range(n)])
            x = builder.fadd(x, builder.shuffle_vector(x, zeros, moved))
            distance *= 2
        return x

    return x(x), emit


@intrinsic
def last_lane(context: Any, x: Any) -> Any:
    """Return the last lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.extract_element(args[0], ir.Constant(INT32, args[0].type.count - 1))

    return x.dtype(x), emit


@intrinsic
def count_at_most(context: Any, x: Any, bound: Any) -> Any:
    """Return how many lanes of x are not larger than those of bound."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        is_at_most = builder.fcmp_ordered("<=", *args)
        bits = builder.bitcast(is_at_most, ir.IntType(args[0].type.count))
        return builder.zext(builder.ctpop(bits), INT64)

    return types.intp(x, bound), emit


def _fold(builder: Any, x: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Combine the upper half of the lanes with the lower, and so on, until one is left."""
    n = x.type.count
    while n > 1:
        n //= 2
        upper = builder.shuffle_vector(x, x, lane_numbers(range(n, 2 * n)))
        lower = builder.shuffle_vector(x, x, lane_numbers(range(n)))
        x = combine(lower, upper)
    return builder.extract_element(x, ir.Constant(INT32, 0))
