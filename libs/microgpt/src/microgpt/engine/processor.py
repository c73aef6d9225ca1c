"""The processor that the kernels are compiled for.

NUMBA_CPU_NAME and NUMBA_CPU_FEATURES select another one, as in Numba.
Layout: the size of a vector, to which all rows are padded. See docs/performance.md#vectors.
"""

import os

import llvmlite.binding as llvm
import numpy as np

# Levels of x86-64 for which wheels can bring machine code, the highest first, with the features of
# each (psABI of AMD64, section 3.1.1).
_V3 = "+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sahf,+sse4.2"
LEVELS = {
    "x86-64-v4": f"{_V3},+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl",
    "x86-64-v3": _V3,
}


def _available(features: str) -> set[str]:
    return {feature[1:] for feature in features.split(",") if feature.startswith("+")}


def _vector_bytes(available: set[str]) -> int:
    return 64 if "avx512f" in available else 32 if "avx2" in available else 16


def _level() -> str | None:
    if "NUMBA_CPU_NAME" in os.environ or "NUMBA_CPU_FEATURES" in os.environ:
        return None
    for level, features in LEVELS.items():
        needed = _available(features)
        if needed <= _AVAILABLE and _vector_bytes(needed) == VECTOR_BYTES:
            return level
    return None


NAME = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
_CONFIGURED = os.environ.get("NUMBA_CPU_FEATURES")
FEATURES: str = _CONFIGURED or ""  # such as "+avx2,-avx512f"
if _CONFIGURED is None and NAME.lower() != "generic":
    FEATURES = llvm.get_host_cpu_features().flatten()
_AVAILABLE = _available(FEATURES)
VECTOR_BYTES = _vector_bytes(_AVAILABLE)
N_REGISTERS = 32 if _AVAILABLE & {"avx512f", "neon"} else 16
LEVEL = _level()  # the level of `LEVELS` that fits this processor


def lanes_of(dtype: object) -> int:
    """Return the number of lanes in a vector of the given NumPy dtype."""
    return VECTOR_BYTES // int(np.dtype(dtype).itemsize)  # type: ignore[call-overload]
