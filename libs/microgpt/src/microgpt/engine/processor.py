"""The processor for which the kernels are compiled.

NUMBA_CPU_NAME and NUMBA_CPU_FEATURES select a different processor, as in Numba. MICROGPT_TARGET
selects a different kind of computer, for which kernels are compiled but not run.
Layout: all rows are padded to a multiple of the vector size defined here. See
docs/engine.md#vectors.
"""

import os
import platform
import sys
from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np

from microgpt.errors import ConfigError


class Target(NamedTuple):
    """A kind of computer for which a wheel can contain machine code, in LLVM's terms."""

    triple: str
    cpu: str
    features: str
    relocation: str = "static"
    code_model: str = "large"  # code is loaded at any distance from what it calls


# Levels of x86-64 with the features of each (psABI of AMD64, section 3.1.1).
_V3 = "+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sahf,+sse4.2"
_V4 = f"{_V3},+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl"
_LINUX, _WINDOWS = "x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc-elf"  # LLVM's JIT loads ELF
_WASM = "+bulk-memory,+mutable-globals,+nontrapping-fptoint,+sign-ext,+simd128"
# By system, architecture and level, the highest first.
TARGETS = {
    "linux-x86-64-v4": Target(_LINUX, "x86-64-v4", _V4),
    "linux-x86-64-v3": Target(_LINUX, "x86-64-v3", _V3),
    "linux-x86-64": Target(_LINUX, "x86-64", ""),
    "linux-aarch64": Target("aarch64-unknown-linux-gnu", "generic", "+neon"),
    "macos-aarch64": Target("arm64-apple-macosx11.0", "apple-m1", "+neon"),
    "windows-x86-64-v4": Target(_WINDOWS, "x86-64-v4", _V4),
    "windows-x86-64-v3": Target(_WINDOWS, "x86-64-v3", _V3),
    "windows-x86-64": Target(_WINDOWS, "x86-64", ""),
    "wasm32": Target("wasm32-unknown-unknown", "generic", _WASM, code_model="default"),
}
_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}  # by sys.platform
_ARCHITECTURES = {"amd64": "x86-64", "x86_64": "x86-64", "arm64": "aarch64", "aarch64": "aarch64"}
_MACHINE = platform.machine().lower()
# System and architecture of this computer, such as "linux-x86-64".
PLATFORM = f"{_SYSTEMS.get(sys.platform, sys.platform)}-{_ARCHITECTURES.get(_MACHINE, _MACHINE)}"


def _available(features: str) -> set[str]:
    return {feature[1:] for feature in features.split(",") if feature.startswith("+")}


def _vector_bytes(available: set[str]) -> int:
    return 64 if "avx512f" in available else 32 if "avx2" in available else 16


def _cross() -> str | None:
    name = os.environ.get("MICROGPT_TARGET")
    if name and name not in TARGETS:
        raise ConfigError(f"MICROGPT_TARGET is {name}; the targets are {', '.join(TARGETS)}")
    return name or None


def _features() -> str:
    if CROSS:
        return TARGETS[CROSS].features
    configured = os.environ.get("NUMBA_CPU_FEATURES")
    if configured is not None or NAME.lower() == "generic":
        return configured or ""  # such as "+avx2,-avx512f"
    return str(llvm.get_host_cpu_features().flatten())


def _in_wheel() -> str | None:
    if CROSS or "NUMBA_CPU_NAME" in os.environ or "NUMBA_CPU_FEATURES" in os.environ:
        return None
    for name, target in TARGETS.items():
        needed = _available(target.features)
        is_here = name == PLATFORM or name.startswith(f"{PLATFORM}-v")
        if is_here and needed <= _AVAILABLE and _vector_bytes(needed) == VECTOR_BYTES:
            return name
    return None


CROSS = _cross()  # the target of MICROGPT_TARGET
NAME: str = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
FEATURES = _features()
_AVAILABLE = _available(FEATURES)
if not CROSS and PLATFORM.endswith("aarch64"):
    _AVAILABLE.add("neon")  # all have it, but not all systems list it
VECTOR_BYTES = _vector_bytes(_AVAILABLE)
N_REGISTERS = 32 if _AVAILABLE & {"avx512f", "neon"} else 16
HAS_FMA = bool(_AVAILABLE & {"avx512f", "fma", "neon"})
# Results are equal to the bit on processors for which this is equal; others round differently.
ROUNDING = f"{VECTOR_BYTES}-byte vectors with{'' if HAS_FMA else 'out'} fused multiply-add"
IN_WHEEL = _in_wheel()  # the target of `TARGETS` that fits this processor


def lanes_of(dtype: object) -> int:
    """Return the number of lanes in a vector of the given NumPy dtype."""
    return VECTOR_BYTES // int(np.dtype(dtype).itemsize)  # type: ignore[call-overload]
