"""The machine on which a benchmark runs."""

import contextlib
import os
import platform
import re
from pathlib import Path

from microgpt_engine import simd

VECTORS = {64: "AVX-512", 32: "AVX2"}  # instruction sets of x86-64 by the kernels' vector bytes


def machine(*, all_cores: bool = False) -> str:
    """Return the processor, the number of usable cores, the system and the Python version.

    Clouds use names such as "AMD EPYC" or "Intel Xeon" for many generations, and a core of one
    generation does twice as many multiply-adds as another, so the microarchitecture and the width
    of the kernels' vectors are included.
    """
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), cpu)
    cpu = re.sub(r"\(R\)|\(TM\)| Processor", "", cpu)
    # LLVM names AMD's microarchitectures znver1, znver2 and so on, and Intel's sapphirerapids.
    name = re.sub(r"^znver(\d)$", r"Zen \1", simd.NAME)
    has_affinity = hasattr(os, "sched_getaffinity")
    n_cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    parts = [
        f"{cpu} ({name}, {8 * simd.VECTOR_BYTES}-bit)",
        *([VECTORS[simd.VECTOR_BYTES]] if simd.VECTOR_BYTES in VECTORS else []),
        f"{n_cores} cores" if all_cores and n_cores != 1 else "one core",
        platform.system(),
        f"CPython {platform.python_version()}",
    ]
    return ", ".join(parts)
