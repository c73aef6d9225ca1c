"""Vectors: the 2 to 16 numbers that the processor multiplies at once, as a type of the kernels.

Numba knows numbers and arrays. What it makes of a loop over an array is good where the loop is
simple, but it cannot keep sixteen running sums in registers, which is what a fast matrix product
is. So the kernels here say it themselves: a `Vector` is loaded from a row of an array, added and
multiplied as a number is, and stored. The functions below are written in LLVM's own language, which
has vectors of any width and fits them to the processor. They check no bounds.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

# Of the processor that numba compiles for: not always this one, see NUMBA_CPU_NAME.
_FEATURES = {
    feature[1:]: feature[0] == "+"
    for feature in cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    if feature
}
VECTOR_BYTES = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx2") else 16
N_REGISTERS = 32 if _FEATURES.get("avx512f") or _FEATURES.get("neon") else 16

INT32, INT64 = ir.IntType(32), ir.IntType(64)
Array = Any  # a NumPy array, in a kernel
Vector = Any  # lanes of its numbers

FMA = ("contract",)  # a product and a sum may become one instruction, rounded once


class VectorType(types.Type):  # type: ignore[misc]
    """The type of a vector of float32 or float64."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype} x {self.lanes})")


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: VectorType) -> None:
        number = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(number, kind.lanes))


def lanes_of(dtype: Any) -> int:
    """Return how many numbers of a NumPy dtype make a vector."""
    return VECTOR_BYTES // int(np.dtype(dtype).itemsize)


@intrinsic
def lanes(context: Any, array: Any) -> Any:
    """Return how many numbers of an array make a vector."""
    n = VectorType(array.dtype).lanes
    return types.intp(array), lambda context, builder, sig, args: ir.Constant(INT64, n)


@intrinsic
def load(context: Any, array: Any, i: Any, j: Any) -> Any:
    """Return array[i, j : j + lanes], of an array whose rows are contiguous."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit_load(context, builder, sig.args[0], *args)

    return VectorType(array.dtype)(array, types.intp, types.intp), emit


@intrinsic
def store(context: Any, array: Any, i: Any, j: Any, vector: Any) -> Any:
    """Set array[i, j : j + lanes]."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emit_store(context, builder, sig.args[0], *args)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), emit


@intrinsic
def stream(context: Any, array: Any, i: Any, j: Any, vector: Any) -> Any:
    """Do what `store` does, past the caches; array[i, j] begins where a vector may.

    A line that another core has read is slow to write otherwise. See `fence`.
    """

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array, i, j, vector = args
        place = emit_place(context, builder, sig.args[0], array, i, j)
        place = builder.bitcast(place, vector.type.as_pointer())
        instruction = builder.store(vector, place, align=VECTOR_BYTES)
        one = builder.module.add_metadata([ir.Constant(INT32, 1)])
        instruction.set_metadata("nontemporal", one)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), emit


@intrinsic
def fence(context: Any) -> Any:
    """Have all that was stored be there for other threads, before anything that comes after."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def splat(context: Any, array: Any, number: Any) -> Any:
    """Return a vector for this array with the same number in each lane."""
    kind = VectorType(array.dtype)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit_splat(builder, args[1], kind.lanes)

    return kind(array, array.dtype), emit


def _define_operator(symbol: Callable[..., Any], instruction: str) -> None:
    """Let two vectors, or a vector and a number, be combined, lane by lane."""

    @infer_global(symbol)
    class _Operator(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            a, b = args
            if isinstance(a, VectorType) and (a == b or isinstance(b, types.Number)):
                return signature(a, a, a if a == b else a.dtype)
            if isinstance(b, VectorType) and isinstance(a, types.Number):
                return signature(b, b.dtype, b)
            return None

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        n = sig.return_type.lanes
        a, b = (
            value if isinstance(kind, VectorType) else emit_splat(builder, value, n)
            for kind, value in zip(sig.args, args, strict=True)
        )
        return getattr(builder, instruction)(a, b, flags=FMA)

    for kinds in ((VectorType, VectorType), (VectorType, types.Float), (types.Float, VectorType)):
        lower_builtin(symbol, *kinds)(emit)


_define_operator(operator.add, "fadd")
_define_operator(operator.sub, "fsub")
_define_operator(operator.mul, "fmul")
_define_operator(operator.truediv, "fdiv")


@intrinsic
def larger(context: Any, a: Any, b: Any) -> Any:
    """Return the larger of two vectors, lane by lane, and b where either is not a number."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return a(a, b), emit


@intrinsic
def where_positive(context: Any, x: Any, a: Any, b: Any) -> Any:
    """Return a in the lanes where x > 0 or is not a number, and b in the others."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x, a, b = args
        return builder.select(builder.fcmp_unordered(">", x, ir.Constant(x.type, None)), a, b)

    return a(x, a, b), emit


@intrinsic
def square_root(context: Any, x: Any) -> Any:
    """Return the square root, lane by lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = args[0].type
        name = f"llvm.sqrt.v{kind.count}f{sig.return_type.dtype.bitwidth}"
        function = ir.FunctionType(kind, [kind])
        root = cgutils.get_or_insert_function(builder.module, function, name)
        return builder.call(root, args)

    return x(x), emit


@intrinsic
def exp(context: Any, x: Any) -> Any:
    """Return e**x for x <= 0, lane by lane, to the last bit or two.

    x = k ln 2 + r, with k whole and |r| <= ln 2 / 2, so e**x = 2**k e**r: Taylor's series gives the
    second factor, and the first is k written into the exponent of a float.
    """
    is_single = x.dtype == types.float32
    # The degrees are one less than powers of two, so that terms can be added in pairs.
    mantissa_bits, bias, degree = (23, 127, 7) if is_single else (52, 1023, 15)
    smallest = -87.0 if is_single else -708.0  # below it the result is as good as 0
    # ln 2 in two parts, the first with so few digits that k times it is exact (Cody & Waite 1980)
    ln2_high = 0.693359375 if is_single else 6.93145751953125e-1
    ln2_low = -2.12194440054690583e-4 if is_single else 1.42860682030941723212e-6

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        (x,) = args
        n = x.type.count
        whole = ir.VectorType(INT32 if is_single else INT64, n)

        def number(value: float) -> Any:
            return ir.Constant(x.type, [float(np.float32(value)) if is_single else value] * n)

        def multiply_add(a: Any, b: Any, c: Any) -> Any:
            return builder.fadd(builder.fmul(a, b, flags=FMA), c, flags=FMA)

        # So large a number has no bits left for fractions: adding it rounds, and leaves k in the
        # lowest bits.
        shift = number(1.5 * 2**mantissa_bits)
        shifted = multiply_add(x, number(1 / math.log(2)), shift)
        k = builder.fsub(shifted, shift)
        r = multiply_add(k, number(-ln2_low), multiply_add(k, number(-ln2_high), x))
        # Neighbouring terms are added first, then neighbouring sums (Estrin 1960): fewer additions
        # wait for one another.
        terms = [number(1 / math.factorial(power)) for power in range(degree + 1)]
        while len(terms) > 1:
            terms = [multiply_add(terms[i + 1], r, terms[i]) for i in range(0, len(terms), 2)]
            r = builder.fmul(r, r)
        (series,) = terms
        exponent = builder.add(builder.bitcast(shifted, whole), ir.Constant(whole, [bias] * n))
        exponent = builder.shl(exponent, ir.Constant(whole, [mantissa_bits] * n))
        result = builder.fmul(series, builder.bitcast(exponent, x.type))
        is_tiny = builder.fcmp_ordered("<", x, number(smallest))
        return builder.select(is_tiny, number(0.0), result)

    return x(x), emit


def emit_load(context: Any, builder: Any, kind: Any, array: Any, i: Any, j: Any) -> Any:
    """Emit what `load` does; kind is the type of the array."""
    vector = context.get_value_type(VectorType(kind.dtype))
    place = builder.bitcast(emit_place(context, builder, kind, array, i, j), vector.as_pointer())
    return builder.load(place, align=kind.dtype.bitwidth // 8)


def emit_store(
    context: Any, builder: Any, kind: Any, array: Any, i: Any, j: Any, vector: Any
) -> None:
    """Emit what `store` does; kind is the type of the array."""
    place = builder.bitcast(
        emit_place(context, builder, kind, array, i, j), vector.type.as_pointer()
    )
    builder.store(vector, place, align=kind.dtype.bitwidth // 8)


def emit_place(context: Any, builder: Any, kind: Any, array: Any, i: Any, j: Any) -> Any:
    """Return the address of array[i, j]."""
    parts = context.make_array(kind)(context, builder, array)
    row_stride = cgutils.unpack_tuple(builder, parts.strides)[0]
    in_row = builder.mul(j, ir.Constant(INT64, kind.dtype.bitwidth // 8))
    return cgutils.pointer_add(builder, parts.data, builder.add(builder.mul(i, row_stride), in_row))


def emit_splat(builder: Any, number: Any, n: int) -> Any:
    """Emit what `splat` does, for n lanes."""
    nothing = ir.Constant(ir.VectorType(number.type, n), ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, nothing, lane_numbers([0] * n))


def lane_numbers(numbers: Sequence[int]) -> Any:
    """Return a constant that says which lanes a shuffle takes."""
    return ir.Constant(ir.VectorType(INT32, len(numbers)), list(numbers))
