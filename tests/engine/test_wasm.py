"""The engine as WebAssembly modules, in Node."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run_process
from node import Node

from microgpt.errors import ConfigError
from microgpt_engine import processor, wasm
from microgpt_engine.compiler import object_code

JOB = Path(__file__).resolve().parents[1] / "same_bits_job.py"
WITH_DTYPES = (
    "take_steps", "evaluate", "decode", "update", "add", "add_and_clear", "publish_and_clear",
    "find_directions",
)  # fmt: skip
KERNELS = {f"{name}-{dtype}" for name in WITH_DTYPES for dtype in ("f4", "f8")}
KERNELS |= {"shuffle-i8", "gauss-i8", "uniforms-f8"}


def double(x):  # numba compiles it
    for i in range(x.size):
        x[i] *= 2
    return x.size


@pytest.fixture(scope="module")
def node() -> None:
    """Skip a test if there is no Node, which CI must have."""
    if not (shutil.which("node") or shutil.which("nodejs")):
        if os.environ.get("CI"):
            pytest.fail("needs Node")
        pytest.skip("needs Node")


def compiled(monkeypatch, function, *args) -> tuple[bytes, str]:
    monkeypatch.setattr(processor, "IS_WASM", True)
    monkeypatch.setattr(processor, "FEATURES", processor._WASM_FEATURES)
    symbol, code = object_code(function, args)
    return code, symbol.decode()


@pytest.mark.usefixtures("node")
def test_a_kernel_compiled_to_webassembly_runs_in_node(tmp_path, monkeypatch) -> None:
    """With arrays of any strides and of no elements, as a kernel gets them."""
    x = np.arange(12.0)
    for array, name in ((x, "f8"), (x[:0], "f8"), (np.arange(3, dtype=np.float32), "f4")):
        code, symbol = compiled(monkeypatch, double, array)
        (tmp_path / f"double-{name}.wasm").write_bytes(wasm.module(code, symbol))
        expected = 2 * array
        with Node(tmp_path) as node:
            assert node.call(f"{__name__}:double", (array,)) == array.size
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(("kernels", "n_shares"), [(wasm.INFERENCE, 1), (wasm.TRAINING, 2)])
def test_webassembly_modules_are_compiled_once_and_then_cached(
    tmp_path, monkeypatch, kernels, n_shares
) -> None:
    def compile_to(directory, dtypes, shares):
        assert (dtypes, shares) == (("float32",), wasm.SHARES[:n_shares])
        for name, dtype in kernels:
            (directory / f"{name}-{dtype}.wasm").write_bytes(name.encode())

    tmp_path.chmod(0o700)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(wasm, "write_modules", compile_to)
    first = wasm.modules(kernels)
    monkeypatch.setattr(wasm, "write_modules", None)
    assert wasm.modules(kernels) == first
    kept = next(file for file in tmp_path.iterdir() if "decode" in file.name)
    kept.write_bytes(kept.read_bytes()[:-1])  # damaged
    monkeypatch.setattr(wasm, "write_modules", compile_to)
    assert wasm.modules(kernels) == first


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> Path:
    """All kernels, made by the command."""
    folder = tmp_path_factory.mktemp("modules")
    run_process([sys.executable, "-m", "microgpt_engine.wasm", folder], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("node")
def test_webassembly_kernels_import_only_memory_and_a_stack(modules) -> None:
    """But for the initial weights, whose numbers are those of the C library."""
    assert {file.stem for file in modules.iterdir()} == KERNELS
    program = (
        "const fs = require('fs'), [folder] = process.argv.slice(1);"
        "for (const name of fs.readdirSync(folder)) {"
        "  const module = new WebAssembly.Module(fs.readFileSync(folder + '/' + name));"
        "  for (const { name: what } of WebAssembly.Module.imports(module))"
        "    console.log(name.split('-')[0], what);"
        "}"
    )
    out = run_process(["node", "-e", program, modules], check=True).stdout.splitlines()
    imported = {line for line in out if "__linear_memory" not in line}
    assert {line for line in imported if "__stack_pointer" not in line} == {
        "gauss log", "gauss cos", "gauss sin"
    }  # fmt: skip
    assert max(file.stat().st_size for file in modules.iterdir()) < 60_000


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("node")
def test_every_architecture_computes_the_same_bits_in_node(modules, tmp_path) -> None:
    """Losses and weights of 50 steps and 1,000 names, as without fused multiply-add here."""
    here = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    for name, options, target in (
        ("here", (), here),
        ("node", ("--modules", modules), {"MICROGPT_TARGET": "wasm32"}),
    ):
        command = [sys.executable, JOB, tmp_path / f"{name}.npz", *options]
        run_process(command, env={**os.environ, **target}, check=True)
    expected, found = (np.load(tmp_path / f"{name}.npz") for name in ("here", "node"))
    assert len(expected.files) == 24
    for name in expected.files:
        np.testing.assert_array_equal(found[name], expected[name], name)


def test_a_failure_of_the_compiler_raises_a_config_error(monkeypatch) -> None:
    monkeypatch.setattr(wasm.machine_code, "read_kept", lambda *args: None)
    monkeypatch.setattr(wasm.preparation, "compile_together", lambda *args, **options: False)
    with pytest.raises(ConfigError, match="cannot be compiled to WebAssembly"):
        wasm.modules()
