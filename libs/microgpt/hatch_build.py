"""Add data/ to the distributions, as microgpt/_data, and machine code to release wheels.

A checkout reads data/ in place (microgpt.data.documents.bundled), so an editable install has no
copy. In a wheel that is built from our own sdist, the files are already inside the package.

MICROGPT_MACHINE_CODE="linux-x86-64*" uv build libs/microgpt --wheel

builds a wheel with the machine code for these targets (microgpt.engine.processor), which needs no
compiler, and with the engine for WebAssembly. The variable is a list of patterns; targets of any
system and architecture can be built on any computer. Other wheels depend on Numba and compile on
first use. See docs/packaging.md.
"""

import os
import re
import sys
import tempfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOR_BENCHES = {"oasst1_chat.jsonl", "OASST1_LICENSE", "chat_fourth.jsonl"}  # decision 26
# Platform tags of wheels. The machine code needs a C library of any age, for the initial weights.
TAGS = {
    "linux-x86-64": "manylinux2014_x86_64",
    "linux-aarch64": "manylinux2014_aarch64",
    "macos-aarch64": "macosx_11_0_arm64",
    "windows-x86-64": "win_amd64",
}


def tag(targets: list[str]) -> str:
    """Return the platform tag of targets, which must share one system and architecture."""
    platforms = {re.sub(r"-v\d$", "", target) for target in targets}
    if len(platforms) != 1 or not platforms <= TAGS.keys():
        raise ValueError(f"MICROGPT_MACHINE_CODE must be targets of one of {', '.join(TAGS)}")
    return TAGS[platforms.pop()]


class BundleData(BuildHookInterface):
    """Add the bundled files and the machine code to the wheel or sdist that is being built."""

    _folders: ClassVar[list[tempfile.TemporaryDirectory[str]]] = []

    def dependencies(self) -> list[str]:
        """Return the extra dependencies of a build that compiles kernels, such as Numba."""
        return [*self.metadata.core.dependencies, *self._compiler] if self._patterns else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map every file to its place in the distribution."""
        included: dict[str, str] = build_data["force_include"]
        if self.target_name == "wheel":
            if self._patterns:
                sys.path.insert(0, str(Path(self.root, "src")))
                from microgpt.engine import preparation, processor, wasm

                targets = [name for name in processor.TARGETS if self._is_wanted(name)]
                build_data["tag"], build_data["pure_python"] = f"py3-none-{tag(targets)}", False
                for target in targets:
                    compile_to = partial(preparation.cross_compile, target)
                    self._add_compiled(compile_to, "_machine_code", included)
                self._add_compiled(wasm.write_modules, "_wasm", included)
            else:
                build_data["dependencies"] += self._compiler
        data = Path(self.root).parents[1] / "data"
        if version == "editable" or not data.is_dir():
            return
        package = "src/microgpt" if self.target_name == "sdist" else "microgpt"
        page = data.parent / "examples" / "karpathy.py"  # a solution of the course
        build_data["force_include"][str(page)] = f"{package}/_data/{page.name}"
        for file in sorted(data.rglob("*")):
            if file.is_file() and file.name not in FOR_BENCHES:
                place = file.relative_to(data).as_posix()
                included[str(file)] = f"{package}/_data/{place}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the machine-code files, which are now in the wheel."""
        for folder in self._folders:
            folder.cleanup()

    @property
    def _patterns(self) -> list[str]:
        return os.environ.get("MICROGPT_MACHINE_CODE", "").split()

    def _is_wanted(self, target: str) -> bool:
        return any(fnmatchcase(target, pattern) for pattern in self._patterns)

    @property
    def _compiler(self) -> list[str]:
        return self.metadata.core.optional_dependencies["compiler"]

    def _add_compiled(
        self, compile_to: Callable[[Path], None], place: str, included: dict[str, str]
    ) -> None:
        """Compile all kernels, in separate processes, and add the files to those of the wheel."""
        folder = tempfile.TemporaryDirectory()
        self._folders.append(folder)
        compile_to(Path(folder.name))
        for file in sorted(Path(folder.name).iterdir()):
            included[str(file)] = f"microgpt/{place}/{file.name}"
