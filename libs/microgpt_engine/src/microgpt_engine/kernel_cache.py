"""Load the machine code of kernels, and compile it on first use.

The machine code is kept in the user's cache directory. The name of a file contains a hash of the
processor, the compiler settings and the sources of this package. Because the files contain code,
a file is not loaded if it is damaged or if another user could have written it.
Arrays can have any layout: a kernel receives their addresses. See docs/engine.md#compilation.
"""

import contextlib
import ctypes
import errno
import hashlib
import importlib
import os
import struct
import time
import uuid
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from platformdirs import user_cache_path

from microgpt import MUON_LR_RATIO, files_hash, open_at_once, report
from microgpt_engine import simd

_NATIVE = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)  # see `numba_internals.object_code`; a call releases the GIL
_DOUBLE, _WORD = struct.Struct("d"), struct.Struct("q")
_UNUSED_DAYS = 60  # age in days after which unused cache files are removed
# Settings of Numba that do not affect the machine code, or that `_path` takes from `simd`.
_HARMLESS = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")

_NUMBA = b"numba"  # stands for machine code in the cache of Numba

COMPILING = "compiling the engine (kept for later runs, takes about ten seconds)"


class CompiledForWasmError(Exception):
    """A kernel was compiled for WebAssembly, so this process cannot run it."""


class EntryPoint:
    """A kernel that can be called from Python.

    Arguments are arrays, named tuples of arguments, and numbers. Their types and the dtype of the
    first array select a compiled version of the kernel. All other arrays must have the same dtypes
    as in the first call of that version. One-dimensional arrays must be contiguous. The result is
    an integer.
    """

    def __init__(self, place: str) -> None:
        """Refer to the kernel at `place`, a module and a function separated by a colon."""
        self._place = place
        self._versions: dict[Any, Callable[..., int]] = {}

    def __call__(self, *args: Any) -> int:
        """Call the kernel; load or compile it first if necessary."""
        first = args[0]
        while isinstance(first, tuple):
            first = first[0]
        version = (first.dtype, *map(type, args))
        if version not in self._versions:
            self._versions[version] = _load(self._place, args)
        return self._versions[version](*args)


def _pack(args: tuple[Any, ...], words: list[int]) -> None:
    """Append the arguments to `words`, encoded as `numba_internals.object_code` describes."""
    for arg in args:
        if type(arg) is np.ndarray:
            words.append(id(arg))
        elif isinstance(arg, tuple):
            _pack(arg, words)
        elif isinstance(arg, float):
            words += _WORD.unpack(_DOUBLE.pack(arg))
        else:
            words.append(arg)


def _layout(arg: Any) -> str:
    if isinstance(arg, np.ndarray):
        return f"{arg.dtype.str}{arg.ndim}"
    if isinstance(arg, tuple):
        names = getattr(arg, "_fields", "")  # only the tuple of all arguments has no field names
        return f"{type(arg).__name__}{names}({','.join(map(_layout, arg))})"
    return "float" if isinstance(arg, float) else "int"


def _load(place: str, args: tuple[Any, ...]) -> Callable[..., int]:
    """Return a kernel for the types of `args`, loaded from the cache or else compiled."""
    layout = _layout(args)
    content = read_kept(place, layout)
    if content is None:
        report(COMPILING)
        content = _compile(place, args)
        keep(place, layout, content)
    if simd.IS_WASM:
        raise CompiledForWasmError(place)
    if content == _NUMBA:
        from microgpt_engine.compiler import numba_function

        # Numba does not notice changed callees, so the directory's name has a hash of the sources.
        directory = cache_directory() / f"numba-{_IMPORTED[:24]}" if can_be_kept() else None
        return numba_function(_function(place), directory)
    symbol, _, code = content.partition(b"\n")
    return _link(symbol.decode(), code)


def _compile(place: str, args: tuple[Any, ...]) -> bytes:
    """Return the symbol and the object file of a kernel, or `_NUMBA` if Numba cannot write them."""
    from microgpt_engine.compiler import object_code

    try:
        return object_code(_function(place), args)
    except Exception as error:  # an untested version of Numba can raise any exception
        if simd.IS_WASM:
            raise
        from microgpt_engine.numba_internals import TRIED, VERSION

        report(
            f"Numba {VERSION} differs from {TRIED} ({error}); the engine uses Numba's cache, so "
            "microgpt starts some seconds later"
        )
        return _NUMBA


def _function(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    function: Any = getattr(importlib.import_module(module), name)
    return getattr(function, "py_func", function)  # type: ignore[no-any-return]


_engines: list[llvm.ExecutionEngine] = []  # they own the machine code of the loaded kernels


def _link(symbol: str, code: bytes) -> Callable[..., int]:
    """Load an object file into memory and return the function named `symbol`."""
    if not _engines:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    # Each file gets its own LLVM engine, because two files can define the same names differently.
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    native = _NATIVE(engine.get_function_address(symbol))

    def function(*args: Any) -> int:
        packed = [0, 0]  # words for the result and an exception; the arguments follow
        _pack(args, packed)
        words = array("q", packed)
        place = words.buffer_info()[0]
        native(place, place + 8, place + 16)
        return words[0]

    return function


def cache_directory() -> Path:
    """Return the directory of cached kernels; NUMBA_CACHE_DIR overrides the default.

    Raises:
        OSError: the user has no home directory, or the path is relative.
    """
    configured = os.environ.get("NUMBA_CACHE_DIR")
    try:
        path = Path(configured) if configured else user_cache_path("microgpt", appauthor=False)
    except RuntimeError as error:
        raise OSError(errno.ENOENT, "there is no home directory") from error
    if not path.is_absolute():  # platformdirs 4.2 returns "~/.cache" if there is no home directory
        raise OSError(errno.EINVAL, "not an absolute path", str(path))
    return path


def can_be_kept() -> bool:
    """Return whether the cache is writable and the sources are unchanged since import."""
    try:
        _make_directory(cache_directory())
    except OSError:
        return False
    return _sources() == _IMPORTED


def _make_directory(path: Path) -> None:
    """Create the cache directory, and check that only this user can write to it."""
    path.mkdir(0o700, parents=True, exist_ok=True)
    if not os.environ.get("NUMBA_CACHE_DIR"):
        path.chmod(0o700)  # an existing directory can be group-writable
    _check_is_private(path)
    if not os.access(path, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def read_kept(place: str, layout: str) -> bytes | None:
    """Return the cached machine code of a kernel, or None if there is no valid file."""
    content = None
    with contextlib.suppress(OSError):
        path = _path(place, layout)
        _check_is_private(path.parent)
        with open(path, "rb", opener=open_at_once) as file:
            _check_is_private(file.fileno())
            digest, _, kept = file.read().partition(b"\n")
        if digest == _digest(path, kept):
            content = kept
        else:
            report(f"{path} is damaged and not used")
        os.utime(path)  # mark the file as used; see `_remove_unused`
    return content


def _digest(path: Path, content: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + content).hexdigest().encode()


def keep(place: str, layout: str, content: bytes) -> None:
    """Write a cache file, unless the sources have changed since import; report an OSError."""
    try:
        if _sources() != _IMPORTED:
            return
        path = _path(place, layout)
        _make_directory(path.parent)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            beside.touch(0o600, exist_ok=False)
            beside.write_bytes(_digest(path, content) + b"\n" + content)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _remove_unused(path.parent)
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        report(
            f"cannot cache the compiled engine ({where}); every run will compile it again; "
            "set NUMBA_CACHE_DIR to another directory"
        )


def _path(place: str, layout: str) -> Path:
    """Return the path of a cache file, named after the function, the first dtype and a hash."""
    settings = sorted(
        setting
        for setting in os.environ.items()
        if setting[0].startswith("NUMBA_") and setting[0] not in _HARMLESS
    )
    facts = (
        llvmlite.__version__,  # identifies Numba too: each version requires a different llvmlite
        object.__basicsize__,  # size of the header that kernels skip; depends on the Python build
        (llvm.get_default_triple(), simd.NAME, simd.FEATURES),
        settings,
        _IMPORTED,
        MUON_LR_RATIO,  # a constant of the kernels, defined in a file that `_sources` does not hash
        place,
        layout,
    )
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:24]
    dtype = layout[layout.index("<") + 1 :][:2]
    return cache_directory() / f"microgpt-{place.rpartition(':')[2]}-{dtype}-{key}"


def _remove_unused(directory: Path) -> None:
    """Remove cache files and unfinished writes that are older than _UNUSED_DAYS."""
    for pattern in ("microgpt-*", ".microgpt-*"):
        for file in directory.glob(pattern):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _UNUSED_DAYS * 86400:
                    file.unlink()


def _check_is_private(place: Path | int) -> None:
    """Raise OSError if the file is owned or writable by a user other than this user or root."""
    status = os.stat(place)
    if os.name == "posix" and (status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022):
        raise OSError(errno.EPERM, "writable by other users", str(place))


def _sources() -> str:
    """Return a hash of the sources of this package and of the reference code that it implements."""
    digest = hashlib.sha256(files_hash().encode())
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


_IMPORTED = _sources()
