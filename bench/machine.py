"""The machine on which a benchmark runs, and the files with its results."""

import contextlib
import os
import platform
import re
from pathlib import Path

from microgpt.engine import processor

RESULTS = Path(__file__).parent / "results"
VECTORS = {64: "AVX-512", 32: "AVX2"}  # instruction sets of x86-64 by the kernels' vector bytes
# LLVM's names of Intel's server processors; those of AMD's are znver1, znver2 and so on.
INTEL = {
    "skylake-avx512": "Skylake",
    "cascadelake": "Cascade Lake",
    "icelake-server": "Ice Lake",
    "sapphirerapids": "Sapphire Rapids",
    "emeraldrapids": "Emerald Rapids",
    "graniterapids": "Granite Rapids",
}


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
    has_affinity = hasattr(os, "sched_getaffinity")
    n_cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    parts = [
        f"{cpu} ({microarchitecture(processor.NAME)}, {8 * processor.VECTOR_BYTES}-bit)",
        *([VECTORS[processor.VECTOR_BYTES]] if processor.VECTOR_BYTES in VECTORS else []),
        f"{n_cores} cores" if all_cores and n_cores != 1 else "one core",
        platform.system(),
        f"CPython {platform.python_version()}",
    ]
    return ", ".join(parts)


def microarchitecture(llvm_name: str) -> str:
    """Return the usual name of a microarchitecture that LLVM has derived from family and model."""
    return INTEL.get(llvm_name) or re.sub(r"^znver(\d)$", r"Zen \1", llvm_name)


def short_name(machine: str) -> str:
    """Return the processor without trade marks, such as "AMD EPYC (Zen 5, 512-bit)"."""
    return re.sub(r"\(R\)|\(TM\)| Processor", "", machine.partition("-bit)")[0]) + "-bit)"


def results_file(bench: str) -> Path:
    """Return the path of this machine's results, in a folder named after the processor."""
    folder = RESULTS / folder_name(short_name(machine()))
    folder.mkdir(exist_ok=True)
    return folder / f"{bench}.json"


def folder_name(processor: str) -> str:
    """Return the folder of a processor's results, such as "amd-epyc-zen-5-512-bit"."""
    return "-".join(re.findall(r"[a-z0-9]+", processor.lower()))
