"""Fixtures for tests of the page's engine: Node, and the kernels in WebAssembly."""

import os
import shutil
import sys
from pathlib import Path

import commands
import pytest
from filelock import FileLock
from javascript import ENGINE, Node

from microgpt_engine import wasm
from microgpt_engine.kernel_cache import cache_directory


@pytest.fixture(scope="session")
def node(tmp_path_factory) -> Node:
    """Node with the page's engine modules; without Node, tests are skipped, or fail in CI."""
    program = shutil.which("node") or shutil.which("nodejs")
    if not program:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs Node")
    folder = tmp_path_factory.mktemp("engine")
    shutil.copytree(ENGINE, folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')  # lets Node import the modules
    return Node(program, folder)


@pytest.fixture(scope="session")
def kernels(tmp_path_factory) -> Path:
    """A directory with the WebAssembly kernels of the page, taken from the cache if possible."""
    folder = tmp_path_factory.mktemp("kernels")
    with FileLock(cache_directory() / "tests.lock"):
        modules = wasm.modules(wasm.TRAINING)
    for name, dtype in wasm.TRAINING:
        (folder / f"{name}-{dtype}.wasm").write_bytes(modules[name])
    return folder


@pytest.fixture(scope="module")
def runs(request, kernels, tmp_path_factory) -> Path:
    """The results that the script in the test module's `JOB` writes, rounded as in WebAssembly."""
    script, n = request.module.JOB
    file = tmp_path_factory.mktemp("runs") / "runs.json"
    env = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    env["PYTHONPATH"] = str(Path(commands.__file__).parent)
    command = [sys.executable, Path(__file__).with_name(script), str(n), kernels, file]
    commands.run_process(command, env=env, check=True)
    return file
