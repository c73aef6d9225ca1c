"""Load the machine code of kernels, and compile it on first use.

The machine code is kept in the user's cache directory. The name of a file contains a hash of the
processor, the compiler settings and the sources of this package. A file is run as code, so a file
is not loaded if another user could have written it, if it is damaged, or if its label is wrong.

Release wheels contain machine code for one system and architecture, in microgpt/_machine_code. This
module also compiles that code, for a target of `processor.TARGETS`.
Layout: any; a kernel receives the addresses of its arrays. See docs/engine.md#compilation.
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
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from platformdirs import user_cache_path

from microgpt import dropout_mask, newton_schulz
from microgpt.engine import processor
from microgpt.errors import ConfigError
from microgpt.files.regular_file import open_at_once

Tell = Callable[[str], None]

_NATIVE = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)  # see `compiler.object_code`; other threads can run during a call
_DOUBLE, _WORD = struct.Struct("d"), struct.Struct("q")
_UNUSED_DAYS = 60  # age in days after which unused cache files are removed
_IN_WHEEL = Path(__file__).parents[1] / "_machine_code"
# Settings of Numba that do not change the machine code, or are in `processor`.
_HARMLESS = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")

COMPILING = "compiling the engine (once on this computer, takes about ten seconds)"

_tell: ContextVar[Tell | None] = ContextVar("_tell", default=None)


class CrossCompiledError(Exception):
    """The machine code of a kernel was compiled, but for a different computer."""


class EntryPoint:
    """A kernel that can be called from Python.

    Arguments are arrays, named tuples of arguments, and numbers. A version is selected by the types
    of the arguments and the dtype of the first array. All other arrays must have the same dtypes as
    in the first call of that version. One-dimensional arrays must be contiguous. The result is an
    integer.
    """

    def __init__(self, place: str) -> None:
        """Name a function by its module and its name, separated by a colon."""
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
        packed = [0, 0]  # the result, an exception, and the arguments
        _pack(args, packed)
        words = array("q", packed)
        place = words.buffer_info()[0]
        self._versions[version](place, place + 8, place + 16)
        return words[0]


def _pack(args: tuple[Any, ...], words: list[int]) -> None:
    """Append arguments as `compiler.object_code` expects them; most are arrays."""
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
        return f"{type(arg).__name__}({','.join(map(_layout, arg))})"
    return "float" if isinstance(arg, float) else "int"


def _load(place: str, args: tuple[Any, ...]) -> Callable[..., int]:
    """Return the function for arguments of these types, from the cache or compiled."""
    layout = _layout(args)
    content = read_kept(place, layout)
    if content is None:
        report_compiling()
        try:
            from microgpt.engine.compiler import object_code
        except ImportError as error:
            raise ConfigError(
                "the installed package has no machine code for this processor, and "
                "Numba is not installed; run: pip install 'microgpt-lib[compiler]'"
            ) from error
        module, _, name = place.partition(":")
        content = b"\n".join(object_code(getattr(importlib.import_module(module), name), args))
        keep(place, layout, content)
    if processor.CROSS:
        raise CrossCompiledError(place)
    symbol, _, code = content.partition(b"\n")
    return _link(symbol.decode(), code)


_engines: list[llvm.ExecutionEngine] = []  # own the machine code of the functions


def _link(symbol: str, code: bytes) -> Callable[..., int]:
    """Load an object file into memory and return the function at a symbol."""
    if not _engines:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    # Each file has an engine: names of kernels in two files may be equal, but not their code.
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return _NATIVE(engine.get_function_address(symbol))


@contextlib.contextmanager
def on_compiling(tell: Tell) -> Iterator[None]:
    """Call `tell` once with each message: before a compilation, or when caching fails."""
    told: set[str] = set()

    def tell_once(line: str) -> None:
        if line not in told:
            told.add(line)
            tell(line)

    token = _tell.set(tell_once)
    try:
        yield
    finally:
        _tell.reset(token)


def report_compiling(line: str = COMPILING) -> None:
    """Report that kernels are being compiled."""
    _report(line)


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
    if not path.is_absolute():  # platformdirs 4.2 returns "~/.cache" if there is no home
        raise OSError(errno.EINVAL, "not an absolute path", str(path))
    return path


def can_be_kept() -> bool:
    """Return whether machine code can be written to the cache."""
    try:
        _make_directory(cache_directory())
    except OSError:
        return False
    return _sources() == _IMPORTED


def _make_directory(path: Path) -> None:
    """Create the cache directory, and check that only this user can write to it."""
    path.mkdir(0o700, parents=True, exist_ok=True)
    if not os.environ.get("NUMBA_CACHE_DIR"):
        path.chmod(0o700)  # who made it with a umask of 002 did not want the group to write to it
    _check_is_private(path)
    if not os.access(path, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def read_kept(place: str, layout: str) -> bytes | None:
    """Return the machine code of the wheel or the cache, or None if there is no valid file."""
    if target := processor.IN_WHEEL:
        with contextlib.suppress(OSError):
            path = _IN_WHEEL / _name(place, layout, target)
            if content := _content(path, path.read_bytes(), target):
                return content
    content = None
    with contextlib.suppress(OSError):
        path = _path(place, layout)
        _check_is_private(path.parent)
        with open(path, "rb", opener=open_at_once) as file:
            _check_is_private(file.fileno())
            content = _content(path, file.read(), _target())
        os.utime(path)  # mark the file as used
    return content


def _content(path: Path, file: bytes, target: str) -> bytes | None:
    """Return the symbol and object in a cache file, or None if it is damaged or mislabelled."""
    digest, _, labelled = file.partition(b"\n")
    label, _, content = labelled.partition(b"\n")
    if hashlib.sha256(labelled).hexdigest().encode() != digest:
        _report(f"{path} is damaged and not used")
    elif label != _label(path, target):
        expected = _label(path, target).decode()
        _report(f"{path} is not used; it contains {label.decode(errors='replace')}, not {expected}")
    else:
        return content
    return None


def _label(path: Path, target: str) -> bytes:
    """Return the line that identifies a file: its name, the target and the llvmlite version."""
    return f"{path.name} for {target} with llvmlite {llvmlite.__version__}".encode()


def keep(place: str, layout: str, content: bytes) -> None:
    """Write a cache file, unless the sources have changed since import."""
    try:
        if _sources() != _IMPORTED:
            return
        path = _path(place, layout)
        labelled = _label(path, _target()) + b"\n" + content
        digest = hashlib.sha256(labelled).hexdigest().encode()
        _make_directory(path.parent)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            beside.touch(0o600, exist_ok=False)
            beside.write_bytes(digest + b"\n" + labelled)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _remove_unused(path.parent)
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        _report(
            f"cannot cache the compiled engine ({where}); every run will compile it again; "
            "set NUMBA_CACHE_DIR to another directory"
        )


def _target() -> str:
    """Return the kind of computer for which kernels are compiled."""
    return processor.CROSS or f"{llvm.get_default_triple()} {processor.NAME}"


def _path(place: str, layout: str) -> Path:
    """Return the path of an entry point's file in the cache."""
    settings = sorted(
        setting
        for setting in os.environ.items()
        if setting[0].startswith("NUMBA_") and setting[0] not in _HARMLESS
    )
    details = () if processor.CROSS and not settings else (processor.FEATURES, settings)
    return cache_directory() / _name(place, layout, _target(), *details)


def _name(place: str, layout: str, target: str, *details: object) -> str:
    """Return the name of an entry point's file: its function, first dtype, and a hash."""
    facts = (
        llvmlite.__version__,  # each version of Numba requires one of llvmlite
        object.__basicsize__,  # kernels read arrays behind it; larger in free-threaded Python
        target,
        details,
        _IMPORTED,
        place,
        layout,
    )
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:24]
    dtype = layout[layout.index("<") + 1 :][:2]
    return f"microgpt-{place.rpartition(':')[2]}-{dtype}-{key}"


def _remove_unused(directory: Path) -> None:
    """Remove old cache files: unused versions and unfinished writes."""
    for pattern in ("microgpt-*", ".microgpt-*"):
        for file in directory.glob(pattern):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _UNUSED_DAYS * 86400:
                    file.unlink()


def _report(line: str) -> None:
    if tell := _tell.get():
        tell(line)


def _check_is_private(place: Path | int) -> None:
    """Raise OSError if the file is owned or writable by a user other than this user or root."""
    status = os.stat(place)
    if os.name == "posix" and (status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022):
        raise OSError(errno.EPERM, "writable by other users", str(place))


def _sources() -> str:
    """Return the hash of the sources of the kernels, including the modules of their constants."""
    digest, constants = hashlib.sha256(), (dropout_mask.__file__, newton_schulz.__file__)
    for file in (*sorted(Path(__file__).parent.rglob("*.py")), *map(Path, constants)):
        digest.update(file.read_bytes().replace(b"\r\n", b"\n"))  # as git may check them out
    return digest.hexdigest()


_IMPORTED = _sources()
