"""Compile kernels with Numba.

This module is imported only when kernels must be compiled, because loading Numba takes longer than
loading the machine code of all kernels (see `kernel_cache`).
Arrays can have any strides, but a vector is loaded from adjacent numbers of a row. See
docs/engine.md#compilation.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba import types

from microgpt import ConfigError
from microgpt_engine import numba_internals

Function = TypeVar("Function", bound=Callable[..., Any])

# nogil: threads can run kernels in parallel. error_model: x / 0 returns inf and does not raise.
_DOCUMENTED = {"nogil": True, "error_model": "numpy"}
_OPTIONS = _DOCUMENTED | numba_internals.accepted_options()

if numba.config.DISABLE_JIT:
    raise ConfigError("NUMBA_DISABLE_JIT is set; unset it or use the reference engine")


def kernel(function: Function) -> Function:
    """Compile a function that only other kernels call."""
    compiled: Function = numba.njit(**_OPTIONS, forceinline=False)(function)
    numba_internals.share_versions(compiled)
    return compiled


def inlined(function: Function) -> Function:
    """Compile a function that is inlined into its callers."""
    compiled: Function = numba.njit(**_OPTIONS, forceinline=True)(function)
    return compiled


def object_code(function: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    """Compile a function for the types of `args`; return its symbol, a newline and an object file.

    See `numba_internals.object_code`.
    """
    kinds = tuple(map(_kind, args))
    return b"\n".join(numba_internals.object_code(function, kinds, _DOCUMENTED))


def numba_function(function: Callable[..., Any], cache: Path | None) -> Callable[..., int]:
    """Compile a function, using only the documented interface of Numba.

    Args:
        cache: directory for machine code, or None to cache nothing.
    """
    numba.config.CACHE_DIR = str(cache or "")
    compiled = numba.njit(**_DOCUMENTED, cache=cache is not None)(function)
    return lambda *args: compiled(*args) or 0


def _kind(value: Any) -> Any:
    """Return the Numba type of an argument.

    One-dimensional arrays are contiguous. All others are typed as strided: Numba would otherwise
    compile two versions of a kernel, because whether a view of a matrix is contiguous depends on
    the shape of the matrix.
    """
    if isinstance(value, np.ndarray):
        kind = numba.typeof(value)
        return types.Array(kind.dtype, kind.ndim, "C" if kind.ndim == 1 else "A")
    if isinstance(value, tuple):
        return types.NamedTuple(list(map(_kind, value)), type(value))
    return types.float64 if isinstance(value, float) else types.int64
