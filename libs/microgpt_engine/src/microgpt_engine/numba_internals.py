"""Compile kernels to object files, using undocumented names of Numba.

No other module uses such names. They were tested with Numba `TRIED`. If another version lacks one,
`compiler.numba_function` compiles the kernels instead.
Arrays can have any layout: a kernel receives their addresses. See docs/engine.md#compilation.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from typing import Any
from unittest.mock import patch

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from microgpt_engine import simd

TRIED, VERSION = "0.68.1", numba.__version__
INT64 = ir.IntType(64)

# Kernels need no reference counting (_nrt); without it, a small step takes 5 to 12 % less time.
_OPTIONS = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def accepted_options() -> dict[str, bool]:
    """Return the undocumented compiler options, or {} if Numba does not accept them."""
    with suppress(Exception):
        numba.njit(**_OPTIONS)(lambda: None).compile(())
        return _OPTIONS
    return {}


def share_versions(compiled: Any) -> None:
    """Make calls with different literal arguments share one compiled version of a kernel."""
    if hasattr(compiled, "get_call_template"):
        template = compiled.get_call_template

        def one_version(args: tuple[Any, ...], keywords: dict[str, object]) -> Any:
            return template(tuple(map(types.unliteral, args)), keywords)

        compiled.get_call_template = one_version


def object_code(
    function: Callable[..., Any], kinds: tuple[Any, ...], options: dict[str, Any]
) -> tuple[bytes, bytes]:
    """Compile a function for arguments of the types `kinds`; return its symbol and object file.

    The object file is for this computer, or for WebAssembly if `simd.IS_WASM`.

    The compiled function has Numba's calling convention: it takes the addresses of the result, of
    an exception and of the arguments, and returns a status. The arguments are 64-bit words: an
    array is passed as the address of its Python object, a named tuple as its elements. The result
    is an int64: the return value of the function, or 0 if it returns None.

    Raises:
        Exception: Numba lacks a name used here; the type of the exception depends on the name.
    """
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    options = options | _OPTIONS
    dispatcher = numba.njit(**options)(function)
    dispatcher.get_call_template  # noqa: B018  (raises if Numba lacks it; see `share_versions`)
    callee = types.Dispatcher(dispatcher)  # holds a weak reference: `dispatcher` must stay alive

    @intrinsic  # type: ignore[untyped-decorator]
    def call(typing: Any, address: Any) -> Any:
        sig = typing.resolve_function_type(callee, kinds, {})

        def lower(context: Any, builder: Any, _: Any, values: Any) -> Any:
            arguments = _Arguments(context, builder, values[0])
            given = [arguments.next(kind) for kind in kinds]
            result = context.get_function(callee, sig)(builder, given)
            if sig.return_type == types.none:
                return ir.Constant(INT64, 0)
            return context.cast(builder, result, sig.return_type, types.int64)

        return types.int64(address), lower

    def entry(address: int) -> int:
        return call(address)  # type: ignore[no-any-return]

    compiled = numba.njit(**options)(entry)
    codegen = cpu_target.target_context.codegen()
    machine = _target_machine(codegen)
    with (
        global_compiler_lock,
        patch.multiple(
            codegen, _library_class=_bitcode_library(), set_env=lambda name, env: None, _tm=machine,
            _target_data=machine.target_data, _data_layout=str(machine.target_data),
        ),
    ):  # fmt: skip
        compiled.compile((types.voidptr,))
        (version,) = compiled.overloads.values()
        module, symbol = version.library.with_callees(), version.fndesc.llvm_func_name
        module.triple, module.data_layout = machine.triple, str(machine.target_data)
        passes, builder = codegen._module_pass_manager()
        passes.run(module, builder)
        _drop_all_but(symbol, module, builder)
    return symbol.encode(), machine.emit_object(module)


def _target_machine(codegen: Any) -> Any:
    """Return LLVM's target machine for this computer, or for WebAssembly."""
    if not simd.IS_WASM:
        return codegen._tm
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple("wasm32-unknown-unknown").create_target_machine(
        "generic", simd.FEATURES, numba.config.OPT, "static", "default"
    )


def _drop_all_but(symbol: str, module: Any, builder: Any) -> None:
    """Remove everything that the function named `symbol` does not use, such as inlined callees."""
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != symbol:
            each.linkage = llvm.Linkage.internal
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)


class _Arguments:
    """Emits LLVM instructions that load a kernel's arguments from 64-bit words."""

    def __init__(self, context: Any, builder: Any, address: Any) -> None:
        self._context, self._builder, self._address = context, builder, address

    def next(self, kind: Any) -> Any:
        """Emit instructions that load the next argument; return its value."""
        if isinstance(kind, types.NamedTuple):
            values = [self.next(each) for each in kind.types]
            return self._context.make_tuple(self._builder, kind, values)
        address = self._address
        self._address = cgutils.pointer_add(self._builder, address, 8)
        if isinstance(kind, types.Array):
            return self._array(kind, self._read(address, cgutils.voidptr_t))
        return self._read(address, ir.DoubleType() if kind == types.float64 else INT64)

    def _array(self, kind: Any, address: Any) -> Any:
        """Load an array from its Python object, whose layout is part of NumPy's C interface."""
        address = cgutils.pointer_add(self._builder, address, object.__basicsize__)
        data = self._read(address, self._context.get_data_type(kind.dtype).as_pointer())
        sizes = ir.ArrayType(INT64, kind.ndim).as_pointer()
        shape, strides = (
            self._read(cgutils.pointer_add(self._builder, address, offset), sizes)
            for offset in (16, 24)  # offsets of the pointers to the shape and to the strides
        )
        builder = self._builder
        array = cgutils.create_struct_proxy(kind)(self._context, builder)
        array.data, array.strides = data, builder.load(strides, align=8)
        array.shape = builder.load(shape, align=8)
        array.nitems = reduce(builder.mul, cgutils.unpack_tuple(builder, array.shape))
        array.itemsize = ir.Constant(INT64, kind.dtype.bitwidth // 8)
        return array._getvalue()

    def _read(self, address: Any, kind: Any) -> Any:
        return self._builder.load(self._builder.bitcast(address, kind.as_pointer()), align=8)


def _bitcode_library() -> type:
    """Return a class that compiles a function to bitcode, without machine code or callees.

    Only an entry point needs machine code and callees.
    """
    from numba.core.codegen import JITCodeLibrary as Library

    class Bitcode(Library):  # type: ignore[misc]
        def _optimize_functions(self, module: Any) -> None:
            module.data_layout = self._codegen._data_layout

        def finalize(self) -> None:
            self._finalized = True

        def with_callees(self) -> Any:
            """Return the module of the function, with all functions that it calls."""
            return self._link_callees(self._final_module)

        def _get_module_for_linking(self) -> Any:
            """Return a module that includes all callees, for callers that Numba itself compiles."""
            return self._link_callees(super()._get_module_for_linking().clone())

        def _link_callees(self, module: Any) -> Any:
            seen, libraries = {self}, [self]
            for library in libraries:  # including those that the loop appends
                for callee in library._linking_libraries:
                    if callee not in seen:
                        seen.add(callee)
                        libraries.append(callee)
                        module.link_in(Library._get_module_for_linking(callee), preserve=True)
            return module

    return Bitcode
