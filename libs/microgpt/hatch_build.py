"""Put data/ into the distributions, as microgpt/_data, and machine code into wheels of a release.

A checkout reads data/ where it lies (microgpt.data.documents.bundled), so an editable install takes
no copy.
A wheel that is built from our own sdist finds the files already inside the package.

MICROGPT_MACHINE_CODE="x86-64-v3 x86-64-v4" uv build libs/microgpt --wheel

builds a wheel for Linux with the machine code of these levels, which needs no compiler. Other
wheels depend on Numba and compile on first use.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOR_BENCHES = {"oasst1_chat.jsonl", "OASST1_LICENSE"}  # decision 26
PLATFORM = "py3-none-manylinux2014_x86_64"  # the machine code needs libc and libm of any age


class BundleData(BuildHookInterface):
    """Add the bundled files and the machine code to the wheel or sdist that is being built."""

    _folders: ClassVar[list[tempfile.TemporaryDirectory[str]]] = []

    def dependencies(self) -> list[str]:
        """Return what the build needs besides hatchling: to compile, the library itself."""
        return [*self.metadata.core.dependencies, *self._compiler] if self._levels else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map every file to its place in the distribution."""
        if self.target_name == "wheel":
            if self._levels:
                build_data["tag"], build_data["pure_python"] = PLATFORM, False
                for level in self._levels:
                    self._add_machine_code(level, build_data)
            else:
                build_data["dependencies"] += self._compiler
        data = Path(self.root).parents[1] / "data"
        if version == "editable" or not data.is_dir():
            return
        package = "src/microgpt" if self.target_name == "sdist" else "microgpt"
        for file in sorted(data.rglob("*")):
            if file.is_file() and file.name not in FOR_BENCHES:
                place = file.relative_to(data).as_posix()
                build_data["force_include"][str(file)] = f"{package}/_data/{place}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the files of the machine code, which are in the wheel now."""
        for folder in self._folders:
            folder.cleanup()

    @property
    def _levels(self) -> list[str]:
        return os.environ.get("MICROGPT_MACHINE_CODE", "").split()

    @property
    def _compiler(self) -> list[str]:
        return self.metadata.core.optional_dependencies["compiler"]

    def _add_machine_code(self, level: str, build_data: dict[str, Any]) -> None:
        """Compile all kernels for a level of x86-64, in processes of their own."""
        source = str(Path(self.root, "src"))
        sys.path.insert(0, source)
        from microgpt.engine.processor import LEVELS

        folder = tempfile.TemporaryDirectory()
        self._folders.append(folder)
        settings = {
            "NUMBA_CACHE_DIR": folder.name,
            "NUMBA_CPU_NAME": level,
            "NUMBA_CPU_FEATURES": LEVELS[level],
            "PYTHONPATH": source,
        }
        uses = ["training", "threads", "evaluation", "decoding", "generation"]
        for dtype in ("float32", "float64"):
            subprocess.run(
                [sys.executable, "-m", "microgpt.engine.preparation", dtype, *uses],
                env={**os.environ, **settings},
                check=True,
            )
        for file in sorted(Path(folder.name).iterdir()):
            build_data["force_include"][str(file)] = f"microgpt/_machine_code/{file.name}"
