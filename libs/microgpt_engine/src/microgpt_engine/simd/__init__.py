"""SIMD vectors and matrix tiles; this module determines the target processor's vector size.

NUMBA_CPU_NAME and NUMBA_CPU_FEATURES select a different processor, as in Numba. `wasm` sets
MICROGPT_TARGET to wasm32 in the processes that compile for WebAssembly.
The rows of all arrays are padded to a multiple of the vector size defined here. See
docs/engine.md#vectors.
"""

import os
import platform

import llvmlite.binding as llvm
import numpy as np

IS_WASM = os.environ.get("MICROGPT_TARGET") == "wasm32"
_WASM_FEATURES = "+bulk-memory,+mutable-globals,+nontrapping-fptoint,+sign-ext,+simd128"


def _features() -> str:
    if IS_WASM:
        return _WASM_FEATURES
    configured = os.environ.get("NUMBA_CPU_FEATURES")
    if configured is not None or NAME.lower() == "generic":
        return configured or ""  # such as "+avx2,-avx512f"
    return str(llvm.get_host_cpu_features().flatten())


NAME: str = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
FEATURES = _features()
_AVAILABLE = {feature[1:] for feature in FEATURES.split(",") if feature.startswith("+")}
if not IS_WASM and platform.machine().lower() in ("aarch64", "arm64"):
    _AVAILABLE.add("neon")  # every arm64 CPU has NEON, but some systems do not list it
VECTOR_BYTES = 64 if "avx512f" in _AVAILABLE else 32 if "avx2" in _AVAILABLE else 16
N_REGISTERS = 32 if _AVAILABLE & {"avx512f", "neon"} else 16


def lanes_of(dtype: object) -> int:
    """Return the number of lanes in a vector of the given NumPy dtype."""
    return VECTOR_BYTES // int(np.dtype(dtype).itemsize)  # type: ignore[call-overload]
