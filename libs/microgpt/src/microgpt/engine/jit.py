"""Compile kernels with Numba and cache the machine code on disk.

Functions called from Python (`EntryPoint`) are cached in the user's cache directory. The name of a
cache file contains a hash of the processor, the compiler versions and settings, and the sources of
this package. The files are pickles, so files that another user could have written are not loaded.
"""

import contextlib
import errno
import hashlib
import os
import pickle
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
from numba import types
from numba.core import caching, compiler, serialize
from platformdirs import user_cache_path

from microgpt import dropout_mask, newton_schulz
from microgpt.errors import ConfigError
from microgpt.files.regular_file import open_at_once

Function = TypeVar("Function", bound=Callable[..., Any])
Tell = Callable[[str], None]

# nogil: threads can run kernels in parallel. error_model: x / 0 is inf instead of an exception.
# _nrt: no reference counting, as kernels allocate no memory; this saves 5 to 12 % of a small step.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
_UNUSED_DAYS = 60  # age in days after which unused cache files are removed
# Numba settings that affect the machine code. Settings such as NUMBA_ENABLE_AVX change only the
# processor features, which are hashed separately.
_SETTINGS = (
    "OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DEBUGINFO_DEFAULT", "DEBUG_JIT",
    "EXTEND_VARIABLE_LIFETIMES", "LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS", "USING_SVML",
)  # fmt: skip

_tell: ContextVar[Tell | None] = ContextVar("_tell", default=None)

if numba.config.DISABLE_JIT:
    raise ConfigError("NUMBA_DISABLE_JIT is set; unset it or use the reference engine")


def kernel(function: Function) -> Function:
    """Compile a function that only other kernels call."""
    compiled: Function = numba.njit(**_OPTIONS, no_cpython_wrapper=True)(function)
    return compiled


def inlined(function: Function) -> Function:
    """Compile a function that is inlined into its callers."""
    compiled: Function = numba.njit(**_OPTIONS, inline="always")(function)
    return compiled


class EntryPoint:
    """A compiled function that can be called from Python, cached on disk with its callees.

    By default, Numba compiles separate versions for contiguous and strided arrays, and the shape
    decides whether a view of a padded array is contiguous. An entry point has one version for both.
    A version is selected by the argument types, which may be named tuples of arrays, and the dtype
    of the first array. All other arrays must have the same dtypes as in the first call of that
    version. One-dimensional arrays must be contiguous.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._dispatcher = numba.njit(**_OPTIONS)(function)
        self._dispatcher._cache = _DiskCache(function.__name__)
        self._versions: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """Call the compiled function; compile it first if necessary."""
        first = args[0]
        while isinstance(first, tuple):
            first = first[0]
        version = (first.dtype, *map(type, args))
        if version not in self._versions:
            kinds = tuple(_any_layout(numba.typeof(arg)) for arg in args)
            self._dispatcher.compile(kinds)
            self._versions[version] = self._dispatcher.overloads[kinds].entry_point
        return self._versions[version](*args)


def _any_layout(kind: Any) -> Any:
    """Return the type with contiguous arrays replaced by arrays with arbitrary strides."""
    if isinstance(kind, types.Array) and kind.ndim > 1:
        return kind.copy(layout="A")
    if isinstance(kind, types.NamedTuple):
        return types.NamedTuple(list(map(_any_layout, kind.types)), kind.instance_class)
    return kind


@contextlib.contextmanager
def on_compiling(tell: Tell) -> Iterator[None]:
    """Call `tell` once with each message about compilation or failed caching."""
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


class _DiskCache(caching._Cache):  # type: ignore[misc]
    """Disk cache of one entry point, with one file per version.

    Numba's own cache detects changes only in the source file of the entry point, is not safe for
    concurrent writes, and fails on damaged files.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def cache_path(self) -> str:
        return str(cache_directory())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the cached code, or None if there is no valid file."""
        target_context.refresh()  # load late registrations, as Numba's own caches do
        with contextlib.suppress(Exception):  # recompile if the file is damaged
            path = self._path(sig, target_context)
            _check_is_private(path.parent)
            with open(path, "rb", opener=open_at_once) as file:
                _check_is_private(file.fileno())
                digest, _, content = file.read().partition(b"\n")
            if hashlib.sha256(content).hexdigest().encode() == digest:
                code = compiler.CompileResult._rebuild(target_context, *pickle.loads(content))
                with contextlib.suppress(OSError):
                    os.utime(path)  # mark the file as used
                return code
        self._report("compiling the engine for this computer (once, takes a few seconds)")
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the code to its cache file unless the sources have changed since import."""
        content = serialize.dumps(data._reduce())
        digest = hashlib.sha256(content).hexdigest().encode()
        try:
            if _sources() != _IMPORTED:
                return
            path = self._path(sig, data.target_context)
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            if not os.environ.get("NUMBA_CACHE_DIR"):
                path.parent.chmod(0o700)  # earlier versions created the directory with the umask
            _check_is_private(path.parent)
            beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            try:
                beside.touch(0o600, exist_ok=False)
                beside.write_bytes(digest + b"\n" + content)
                os.replace(beside, path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
            self._remove_unused(path.parent)
        except OSError as error:
            where = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
            self._report(
                f"cannot cache the compiled engine ({where}); every run will compile it again; "
                "set NUMBA_CACHE_DIR to another directory"
            )

    def enable(self) -> None: ...  # abstract method in Numba

    disable = flush = enable

    def _path(self, sig: Any, target_context: Any) -> Path:
        facts = (
            sys.version,
            numba.__version__,
            llvmlite.__version__,
            target_context.codegen().magic_tuple(),  # processor name and features
            _IMPORTED,
            [
                (name, value)
                for module in (dropout_mask, newton_schulz)
                for name, value in sorted(vars(module).items())
                if name.isupper()
            ],
            [getattr(numba.config, name, None) for name in _SETTINGS],
            str(sig),
        )
        key = hashlib.sha256(repr(facts).encode()).hexdigest()[:24]
        return cache_directory() / f"microgpt-{self._name}-{key}"

    def _remove_unused(self, directory: Path) -> None:
        """Remove old cache files of this function: unused versions and unfinished writes."""
        for pattern in (f"microgpt-{self._name}-*", f".microgpt-{self._name}-*"):
            for file in directory.glob(pattern):
                with contextlib.suppress(OSError):
                    if time.time() - file.stat().st_mtime > _UNUSED_DAYS * 86400:
                        file.unlink()

    def _report(self, line: str) -> None:
        if tell := _tell.get():
            tell(line)


def _check_is_private(place: Path | int) -> None:
    """Raise OSError if the file is owned or writable by a user other than this user or root."""
    status = os.stat(place)
    if os.name == "posix" and (status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022):
        raise OSError(errno.EPERM, "writable by other users", str(place))


def _sources() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


_IMPORTED = _sources()
