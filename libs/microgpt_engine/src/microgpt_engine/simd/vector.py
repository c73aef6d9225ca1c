"""SIMD vectors as a Numba type, with load, store and arithmetic.

The intrinsics emit LLVM instructions, which support vectors of any width. They do not check bounds.
Arrays have two dimensions. A vector consists of adjacent numbers of a row: array[i, j : j + lanes].
See docs/engine.md#vectors.
"""

import math
import operator
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from microgpt_engine.simd import VECTOR_BYTES

INT32, INT64 = ir.IntType(32), ir.IntType(64)
Array = Any  # a NumPy array in a kernel
Vector = Any  # a SIMD vector of consecutive numbers of an array

FMA = ("contract",)  # allow fused multiply-add, which rounds only once


class VectorType(types.Type):  # type: ignore[misc]
    """Numba type of a SIMD vector of float32 or float64 numbers."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype} x {self.lanes})")


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: VectorType) -> None:
        number = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(number, kind.lanes))


class Emitter(NamedTuple):
    """Emits LLVM instructions for an intrinsic. In methods, `kind` is an array's Numba type."""

    context: Any  # target context of Numba
    builder: Any  # IR builder of llvmlite
    returns: Any  # Numba type of the result
    types: Sequence[Any]  # Numba types of the arguments

    def fields(self, kind: Any, array: Any) -> Any:
        """Return a struct with a copy of the data pointer, shape and strides of an array."""
        return cgutils.create_struct_proxy(kind)(self.context, self.builder, value=array)

    def place(self, kind: Any, array: Any, i: Any, j: Any, target: Any) -> Any:
        """Return the address of array[i, j] as a pointer to the LLVM type `target`."""
        builder = self.builder
        fields = self.fields(kind, array)
        row_stride = cgutils.unpack_tuple(builder, fields.strides)[0]
        in_row = builder.mul(j, ir.Constant(INT64, kind.dtype.bitwidth // 8))
        offset = builder.add(builder.mul(i, row_stride), in_row)
        place = cgutils.pointer_add(builder, fields.data, offset)
        return builder.bitcast(place, target.as_pointer())

    def load(self, kind: Any, array: Any, i: Any, j: Any) -> Any:
        """Load the vector array[i, j : j + lanes]."""
        vector = self.context.get_value_type(VectorType(kind.dtype))
        place = self.place(kind, array, i, j, vector)
        return self.builder.load(place, align=kind.dtype.bitwidth // 8)

    def store(self, kind: Any, array: Any, i: Any, j: Any, vector: Any) -> None:
        """Store the vector to array[i, j : j + lanes]."""
        place = self.place(kind, array, i, j, vector.type)
        self.builder.store(vector, place, align=kind.dtype.bitwidth // 8)


def emitted(
    signature: Callable[..., Any], *, prefer_literal: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that turns an emitting function into an intrinsic with `signature`."""

    def make(emit: Callable[..., Any]) -> Any:
        @wraps(emit)
        def typed(context: Any, *kinds: Any) -> Any:
            def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
                result = emit(Emitter(context, builder, sig.return_type, sig.args), *args)
                return context.get_dummy_value() if result is None else result

            return signature(*kinds), lower

        return intrinsic(prefer_literal=prefer_literal)(typed)

    return make


@emitted(lambda array: types.intp(array))
def lanes(e: Emitter, array: Any) -> Any:
    """Return the number of lanes in a vector of the array's dtype."""
    return ir.Constant(INT64, VectorType(e.types[0].dtype).lanes)


@emitted(lambda array, *bounds: array(array, *[types.intp] * 4))
def view(e: Emitter, array: Any, top: Any, bottom: Any, left: Any, right: Any) -> Any:
    """Return array[top:bottom, left:right], without Numba's code for negative or large indices."""
    kind, builder = e.types[0], e.builder
    part = e.fields(kind, array)
    part.data = e.place(kind, array, top, left, part.data.type.pointee)
    n_rows, n_columns = builder.sub(bottom, top), builder.sub(right, left)
    part.shape = cgutils.pack_array(builder, [n_rows, n_columns])
    part.nitems = builder.mul(n_rows, n_columns)
    part.meminfo = ir.Constant(part.meminfo.type, None)  # the view does not own its memory
    return part._getvalue()


@emitted(lambda array, i, j: VectorType(array.dtype)(array, types.intp, types.intp))
def load(e: Emitter, array: Any, i: Any, j: Any) -> Any:
    """Load the vector array[i, j : j + lanes]; rows must be contiguous."""
    return e.load(e.types[0], array, i, j)


@emitted(lambda array, i, j, vector: types.void(array, types.intp, types.intp, vector))
def store(e: Emitter, array: Any, i: Any, j: Any, vector: Any) -> None:
    """Store the vector to array[i, j : j + lanes]."""
    e.store(e.types[0], array, i, j, vector)


@emitted(lambda array, i, j, vector: types.void(array, types.intp, types.intp, vector))
def stream(e: Emitter, array: Any, i: Any, j: Any, vector: Any) -> None:
    """Store a vector, bypassing the caches; array[i, j] must be vector-aligned. See `fence`."""
    place = e.place(e.types[0], array, i, j, vector.type)
    instruction = e.builder.store(vector, place, align=VECTOR_BYTES)
    one = e.builder.module.add_metadata([ir.Constant(INT32, 1)])
    instruction.set_metadata("nontemporal", one)


@emitted(types.void)
def fence(e: Emitter) -> None:
    """Make all earlier stores visible to other threads before any later store."""
    e.builder.fence("seq_cst")


@emitted(lambda array, number: VectorType(array.dtype)(array, array.dtype))
def splat(e: Emitter, array: Any, number: Any) -> Any:
    """Return a vector of the array's dtype with `number` in every lane."""
    return emit_splat(e.builder, number, e.returns.lanes)


def _define_operator(symbol: Callable[..., Any], instruction: str) -> None:
    """Define a lane-wise operator for two vectors or for a vector and a number."""

    @type_callable(symbol)
    def typed(context: Any) -> Any:
        def returned(a: Any, b: Any) -> Any:
            if isinstance(a, VectorType) and (a == b or isinstance(b, types.Number)):
                return a(a, a if a == b else a.dtype)
            if isinstance(b, VectorType) and isinstance(a, types.Number):
                return b(b.dtype, b)
            return None

        return returned

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


@emitted(lambda a, b: a(a, b))
def larger(e: Emitter, a: Any, b: Any) -> Any:
    """Return the lane-wise maximum of two vectors, or b in lanes where either is NaN."""
    return e.builder.select(e.builder.fcmp_ordered(">", a, b), a, b)


@emitted(lambda x, a, b: a(x, a, b))
def where_positive(e: Emitter, x: Any, a: Any, b: Any) -> Any:
    """Return a in the lanes where x > 0 or x is NaN, and b in all other lanes."""
    return e.builder.select(e.builder.fcmp_unordered(">", x, ir.Constant(x.type, None)), a, b)


@emitted(lambda x: x(x))
def square_root(e: Emitter, x: Any) -> Any:
    """Return the square root of each lane."""
    name = f"llvm.sqrt.v{x.type.count}f{e.returns.dtype.bitwidth}"
    function = ir.FunctionType(x.type, [x.type])
    return e.builder.call(cgutils.get_or_insert_function(e.builder.module, function, name), [x])


@emitted(lambda x: x(x))
def exp(e: Emitter, x: Any) -> Any:
    """Return e**x of each lane for x <= 0; the last one or two bits can be wrong.

    With x = k ln 2 + r, where k is an integer and |r| <= ln 2 / 2, e**x = 2**k e**r. A Taylor
    series approximates e**r, and k is written to the exponent bits of a float.
    """
    builder, n, is_single = e.builder, x.type.count, e.returns.dtype == types.float32
    # Each degree is one less than a power of two, so that terms can be added in pairs.
    mantissa_bits, bias, degree = (23, 127, 7) if is_single else (52, 1023, 15)
    smallest = -87.0 if is_single else -708.0  # for smaller x the result is 0
    # ln 2 = ln2_high + ln2_low; k * ln2_high is exact, as ln2_high has few bits (Cody & Waite 1980)
    ln2_high = 0.693359375 if is_single else 6.93145751953125e-1
    ln2_low = -2.12194440054690583e-4 if is_single else 1.42860682030941723212e-6
    whole = ir.VectorType(INT32 if is_single else INT64, n)

    def number(value: float) -> Any:
        return ir.Constant(x.type, [float(np.float32(value)) if is_single else value] * n)

    def multiply_add(a: Any, b: Any, c: Any) -> Any:
        return builder.fadd(builder.fmul(a, b, flags=FMA), c, flags=FMA)

    # Floats near `shift` have no fraction bits, so adding `shift` rounds; the low bits contain k.
    shift = number(1.5 * 2**mantissa_bits)
    shifted = multiply_add(x, number(1 / math.log(2)), shift)
    k = builder.fsub(shifted, shift)
    r = multiply_add(k, number(-ln2_low), multiply_add(k, number(-ln2_high), x))
    # Add adjacent terms, then adjacent sums (Estrin 1960), to shorten the dependency chains.
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


def emit_splat(builder: Any, number: Any, n: int) -> Any:
    """Emit instructions that copy a number to n lanes."""
    nothing = ir.Constant(ir.VectorType(number.type, n), ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, nothing, lane_numbers([0] * n))


def lane_numbers(numbers: Sequence[int]) -> Any:
    """Return a constant vector of lane indices for a shuffle instruction."""
    return ir.Constant(ir.VectorType(INT32, len(numbers)), list(numbers))
