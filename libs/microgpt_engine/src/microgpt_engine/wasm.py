"""WebAssembly modules of all kernels, for browsers and Node, made without a linker.

    python -m microgpt_engine.wasm DIRECTORY

A module is an object file from LLVM with an added export of the kernel's function. It imports its
memory and the stack pointer. Kernels must not contain data: loops with a variable step use `while`,
because `range` would add the text of an error message.
Arguments are 64-bit words, with addresses in the low half; an array has the layout of a NumPy array
in a 64-bit CPython. See docs/engine.md#webassembly.
"""

import os
import sys
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import get_args

from microgpt import ConfigError, DType, Use, report
from microgpt_engine import kernel_cache, preparation
from microgpt_engine.kernel_settings import KINDS

INFERENCE = (("evaluate", "f4"), ("decode", "f4"), ("uniforms", "f8"))  # kernels to run a model
TRAINING = (*INFERENCE, ("take_steps", "f4"))  # kernels to run or train a model
SHARES = (preparation.INFERENCE, preparation.TRAINING, preparation.THREADS)
COMPILING = "compiling the engine of the page (once on this computer, takes about 20 seconds)"
EXPORT = "run"  # name of the exported function
CUSTOM, IMPORT, EXPORTS, START, DATA = 0, 2, 7, 8, 11  # ids of WebAssembly sections
IS_UNDEFINED, HAS_NAME = 0x10, 0x40  # flags in a symbol table entry
FUNCTION, SYMBOLS = 0, 8  # symbol kind of functions; id of the symbol table's subsection

# LEB128 encodes a number in groups of 7 bits, lowest first; a set high bit means that more follow.


def modules(kernels: Sequence[tuple[str, str]] = INFERENCE) -> dict[str, bytes]:
    """Return the WebAssembly module of each kernel, by name; `kernels` is INFERENCE or TRAINING.

    The modules are compiled on first use and cached like machine code.

    Raises:
        ConfigError: the compiler fails.
    """
    found: dict[str, bytes] = {}
    for name, dtype in kernels:
        if content := kernel_cache.read_kept(f"{__name__}:{name}", f"{KINDS}<{dtype}"):
            found[name] = content
    if len(found) == len(kernels):
        return found
    report(COMPILING)
    shares = SHARES[:2] if kernels == TRAINING else SHARES[:1]
    with tempfile.TemporaryDirectory() as folder:
        write_modules(Path(folder), ("float32",), shares)
        for name, dtype in kernels:
            found[name] = Path(folder, f"{name}-{dtype}.wasm").read_bytes()
            kernel_cache.keep(f"{__name__}:{name}", f"{KINDS}<{dtype}", found[name])
    return found


def write_modules(
    directory: Path,
    dtypes: Iterable[DType] = get_args(DType),
    shares: Iterable[Collection[Use]] = SHARES,
) -> None:
    """Compile kernels, and write each to a file FUNCTION-DTYPE.wasm in a directory.

    Raises:
        ConfigError: the compiler fails.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        env = {key: text for key, text in os.environ.items() if not key.startswith("NUMBA_")}
        env |= {"MICROGPT_TARGET": "wasm32", "NUMBA_CACHE_DIR": folder}
        if not preparation.compile_together(dtypes, shares, env=env):
            raise ConfigError(
                "the engine cannot be compiled to WebAssembly; see the compiler's error above"
            )
        for file in Path(folder).iterdir():
            _, function, dtype, _ = file.name.split("-")
            _, symbol, code = file.read_bytes().split(b"\n", 2)
            (directory / f"{function}-{dtype}.wasm").write_bytes(module(code, symbol.decode()))


def module(code: bytes, symbol: str) -> bytes:
    """Convert an object file to a WebAssembly module that exports the function named `symbol`.

    Raises:
        ValueError: the object has data, whose addresses only a linker could assign.
    """
    kept, index = [], None
    sections = _Reader(code[8:])  # after the magic number and the version
    while sections.rest:
        number, section = sections.byte(), sections.part()
        if number == CUSTOM:  # leave out names, symbols and relocations; only a linker needs them
            index = _function_index(section, symbol) if index is None else index
        elif number == DATA:
            raise ValueError(f"{symbol} refers to data, which requires a linker")
        else:
            kept.append((number, section))
    if index is None:
        raise ValueError(f"the object has no function {symbol}")
    name = EXPORT.encode()
    kept.append((EXPORTS, b"\1" + _number(len(name)) + name + bytes([FUNCTION]) + _number(index)))
    kept.sort(key=lambda section: section[0])
    return code[:8] + b"".join(bytes([n]) + _number(len(part)) + part for n, part in kept)


def _function_index(section: bytes, symbol: str) -> int | None:
    """Return the index of a function if a custom section lists it in a symbol table, or None."""
    reader = _Reader(section)
    if reader.part() != b"linking":
        return None
    reader.number()  # skip the version
    while reader.rest:
        kind, symbols = reader.byte(), _Reader(reader.part())
        for _ in range(symbols.number() if kind == SYMBOLS else 0):
            what, flags = symbols.byte(), symbols.number()
            if what != FUNCTION:  # functions come first, so no function follows
                break
            index = symbols.number()
            is_named = not flags & IS_UNDEFINED or flags & HAS_NAME
            if is_named and symbols.part() == symbol.encode():
                return index
    return None


class _Reader:
    """Reads bytes, numbers and byte strings from the start of a section."""

    def __init__(self, rest: bytes) -> None:
        self.rest = rest

    def byte(self) -> int:
        first, self.rest = self.rest[0], self.rest[1:]
        return first

    def number(self) -> int:
        """Read a number in LEB128."""
        number = shift = 0
        more = True
        while more:
            group = self.byte()
            number |= (group & 127) << shift
            more, shift = group > 127, shift + 7
        return number

    def part(self) -> bytes:
        """Read a number n, and return the next n bytes."""
        n = self.number()
        part, self.rest = self.rest[:n], self.rest[n:]
        return part


def _number(number: int) -> bytes:
    """Encode a number in LEB128."""
    high, low = divmod(number, 128)
    return bytes([low | 128]) + _number(high) if high else bytes([low])


if __name__ == "__main__":
    write_modules(Path(sys.argv[1]))
