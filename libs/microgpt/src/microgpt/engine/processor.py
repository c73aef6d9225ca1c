"""The processor that the kernels are compiled for.

NUMBA_CPU_NAME and NUMBA_CPU_FEATURES select another one, as in Numba.
"""

import os

import llvmlite.binding as llvm
import numpy as np


def _features() -> str:
    configured = os.environ.get("NUMBA_CPU_FEATURES")
    if configured is None and NAME.lower() != "generic":
        with_signs: str = llvm.get_host_cpu_features().flatten()
        return with_signs
    return configured or ""


NAME = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
FEATURES = _features()  # such as "+avx2,-avx512f"
_AVAILABLE = {feature[1:] for feature in FEATURES.split(",") if feature.startswith("+")}

VECTOR_BYTES = 64 if "avx512f" in _AVAILABLE else 32 if "avx2" in _AVAILABLE else 16
N_REGISTERS = 32 if _AVAILABLE & {"avx512f", "neon"} else 16


def lanes_of(dtype: object) -> int:
    """Return the number of lanes in a vector of the given NumPy dtype."""
    return VECTOR_BYTES // int(np.dtype(dtype).itemsize)  # type: ignore[call-overload]
