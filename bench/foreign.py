"""Kernels for Windows and macOS, loaded on Linux to test them as far as possible.

LLVM's loader applies their relocations, and this module supplies the functions that they import.
Windows passes arguments in other registers, so its kernels are called through an adapter that is
compiled with LLVM.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm

from microgpt.engine import machine_code, processor

# `call` calls a function of Windows; the others are called by one. The stack needs no probes here.
WINDOWS = """
define i32 @call(ptr %function, i64 %a, i64 %b, i64 %c) {
  %status = call win64cc i32 %function(i64 %a, i64 %b, i64 %c)
  ret i32 %status
}
define void @__chkstk() {
  ret void
}
define win64cc ptr @windows_memset(ptr %place, i32 %value, i64 %n) {
  %byte = trunc i32 %value to i8
  call void @llvm.memset.p0.i64(ptr %place, i8 %byte, i64 %n, i1 false)
  ret ptr %place
}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""
NUMBERS = "log cos sin"  # functions of a number, for the initial weights
for name in NUMBERS.split():
    WINDOWS += f"""
define win64cc double @windows_{name}(double %x) {{
  %y = call double @{name}(double %x)
  ret double %y
}}
declare double @{name}(double)
"""
# Functions of the library of macOS.
MACOS = """
define {double, double} @sincos(double %x) {
  %sine = call double @sin(double %x)
  %cosine = call double @cos(double %x)
  %one = insertvalue {double, double} undef, double %sine, 0
  %both = insertvalue {double, double} %one, double %cosine, 1
  ret {double, double} %both
}
define void @fill(ptr %place, ptr %pattern, i64 %n) {
  br label %loop
loop:
  %i = phi i64 [ 0, %0 ], [ %next, %body ]
  %is_more = icmp ult i64 %i, %n
  br i1 %is_more, label %body, label %end
body:
  %place_i = getelementptr i8, ptr %place, i64 %i
  %in_pattern = and i64 %i, 15
  %pattern_i = getelementptr i8, ptr %pattern, i64 %in_pattern
  %byte = load i8, ptr %pattern_i
  store i8 %byte, ptr %place_i
  %next = add i64 %i, 1
  br label %loop
end:
  ret void
}
declare double @sin(double)
declare double @cos(double)
"""
_engines: list[llvm.ExecutionEngine] = []  # own the machine code


def install(target: str, directory: Path) -> None:
    """Replace all kernels with those for a target in the directory of `cross_compile`."""

    def read(place: str, layout: str) -> bytes | None:
        path = directory / machine_code._name(place, layout, target)
        return machine_code._content(path, path.read_bytes(), target)

    def link(symbol: str, code: bytes) -> Callable[..., int]:
        if target.startswith("windows"):
            call = _windows()
            address = _loaded("", processor.TARGETS["linux-x86-64"].triple, code, symbol)
            return lambda *words: call(address, *words)
        _macos()
        address = _loaded("", processor.TARGETS[target].triple, code, symbol)
        return machine_code._NATIVE(address)

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine_code.read_kept, machine_code._link = read, link


def _loaded(assembly: str, triple: str, code: bytes, symbol: str) -> int:
    """Return the address of a symbol in assembly or an object."""
    module = llvm.parse_assembly(assembly)
    module.triple = triple
    machine = llvm.Target.from_triple(triple).create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(module, machine)
    if code:
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(symbol))


@cache
def _windows() -> Callable[..., int]:
    triple = processor.TARGETS["linux-x86-64"].triple
    call = _loaded(WINDOWS, triple, b"", "call")
    (shim,) = _engines
    llvm.add_symbol("__chkstk", shim.get_function_address("__chkstk"))
    for name in ("memset", *NUMBERS.split()):
        llvm.add_symbol(name, shim.get_function_address(f"windows_{name}"))
    return ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)(call)


@cache
def _macos() -> None:
    """Supply the functions that kernels import; symbols begin with an underscore on macOS."""
    fill = _loaded(MACOS, processor.TARGETS["linux-aarch64"].triple, b"", "fill")
    (shim,) = _engines
    llvm.add_symbol("_memset_pattern16", fill)
    llvm.add_symbol("___sincos_stret", shim.get_function_address("sincos"))
    library = ctypes.CDLL("libm.so.6")
    for name in ("memset", "bzero", "log"):
        address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        llvm.add_symbol(f"_{name}", address)
