"""Compilation: what turns a Python function into machine code, and keeps the code on disk.

A kernel is compiled when it is first called, which takes seconds, so what Python calls (the
`EntryPoint`s) is kept in the user's cache directory. A file there belongs to one processor, one
version of all that compiles, and the sources of this package: whatever differs has other files.
This module knows nothing of what the kernels compute.
"""

import contextlib
import hashlib
import os
import pickle
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
from numba import types
from numba.core import caching, compiler, serialize
from platformdirs import user_cache_path

Function = TypeVar("Function", bound=Callable[..., Any])

# nogil: threads run kernels side by side. numpy: x / 0 is inf, not an exception. _nrt: kernels
# allocate nothing, so no array needs its references counted (5 to 12 % of a small step).
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}

_listeners: list[Callable[[str], None]] = []


def kernel(function: Function) -> Function:
    """Compile a function that other kernels call."""
    compiled: Function = numba.njit(**_OPTIONS, no_cpython_wrapper=True)(function)
    return compiled


def inlined(function: Function) -> Function:
    """Compile a function into the one kernel that calls it."""
    compiled: Function = numba.njit(**_OPTIONS, inline="always")(function)
    return compiled


class EntryPoint:
    """A compiled function that Python calls, with all that it calls; kept on disk.

    Numba would compile it anew for arrays that happen to be contiguous and for those that are not,
    which for views of padded arrays is a question of their shape. Here one version takes both; only
    another dtype of the first argument, an array, makes another.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._dispatcher = numba.njit(**_OPTIONS)(function)
        self._dispatcher._cache = _DiskCache(function.__name__)
        self._versions: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """Run the machine code."""
        dtype = args[0].dtype
        if dtype not in self._versions:
            kinds = tuple(_any_layout(numba.typeof(arg)) for arg in args)
            self._dispatcher.compile(kinds)
            self._versions[dtype] = self._dispatcher.overloads[kinds].entry_point
        return self._versions[dtype](*args)


def _any_layout(kind: Any) -> Any:
    """Return the type of arrays with any strides, where it is that of contiguous ones."""
    if isinstance(kind, types.Array) and kind.ndim > 1:
        return kind.copy(layout="A")
    if isinstance(kind, types.NamedTuple):
        return types.NamedTuple(list(map(_any_layout, kind.types)), kind.instance_class)
    return kind


@contextlib.contextmanager
def on_compiling(tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell` with a line for the user when something has to be compiled, or cannot be kept.

    Each line comes once, and the first before the compilation.
    """
    told: set[str] = set()

    def tell_once(line: str) -> None:
        if line not in told:
            told.add(line)
            tell(line)

    _listeners.append(tell_once)
    try:
        yield
    finally:
        _listeners.remove(tell_once)


def _tell(line: str) -> None:
    for listener in _listeners:
        listener(line)


def cache_directory() -> Path:
    """Return where compiled kernels are kept; NUMBA_CACHE_DIR moves it."""
    configured = os.environ.get("NUMBA_CACHE_DIR")
    return Path(configured) if configured else user_cache_path("microgpt", appauthor=False)


class _DiskCache(caching._Cache):  # type: ignore[misc]
    """The code of one entry point, a file a signature.

    Numba's own cache would look at the source file of the entry point alone, mix up what two
    processes save at once, and fail on a damaged file.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def cache_path(self) -> str:
        return str(cache_directory())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the code, or None if there is no file that is whole and fits."""
        target_context.refresh()
        try:
            digest, _, content = self._path(sig, target_context).read_bytes().partition(b"\n")
            if hashlib.sha256(content).hexdigest().encode() == digest:
                parts = pickle.loads(content)
                return compiler.CompileResult._rebuild(target_context, *parts)
        except OSError:
            pass
        _tell("compiling the engine for this computer; this takes some 10 seconds, once")
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the code to its file; where that cannot be done, it is compiled again next time."""
        content = serialize.dumps(data._reduce())
        digest = hashlib.sha256(content).hexdigest().encode()
        path = self._path(sig, data.target_context)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                beside.write_bytes(digest + b"\n" + content)
                os.replace(beside, path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
        except OSError as error:
            _tell(
                f"cannot keep the compiled engine in {path.parent}: {error.strerror}; "
                "it will be compiled each time (NUMBA_CACHE_DIR names another directory)"
            )

    def enable(self) -> None:
        """Nothing to do: it always is."""

    def disable(self) -> None:
        """Not offered."""
        raise NotImplementedError

    def flush(self) -> None:
        """Not offered."""
        raise NotImplementedError

    def _path(self, sig: Any, target_context: Any) -> Path:
        facts = (
            sys.version,
            numba.__version__,
            llvmlite.__version__,
            target_context.codegen().magic_tuple(),  # the processor and what it can do
            _sources(),
            str(sig),
        )
        key = hashlib.sha256(repr(facts).encode()).hexdigest()[:24]
        return cache_directory() / f"{self._name}-{key}"


def _sources() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
