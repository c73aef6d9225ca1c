"""Compile the engine to WebAssembly modules, and load them in Node."""

import os
import shutil

import pytest
from commands import run_process

from microgpt.errors import ConfigError
from microgpt_engine import wasm


def test_webassembly_modules_are_cached_until_they_are_damaged(tmp_path, monkeypatch) -> None:
    def compile_to(directory, dtypes, shares):
        assert (dtypes, shares) == (("float32",), wasm.SHARES[:2])
        for name, dtype in wasm.TRAINING:
            (directory / f"{name}-{dtype}.wasm").write_bytes(name.encode())

    tmp_path.chmod(0o700)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(wasm, "write_modules", compile_to)
    first = wasm.modules(wasm.TRAINING)
    monkeypatch.setattr(wasm, "write_modules", None)
    assert wasm.modules(wasm.TRAINING) == first
    kept = next(file for file in tmp_path.iterdir() if "decode" in file.name)
    kept.write_bytes(kept.read_bytes()[:-1])  # damage the file
    monkeypatch.setattr(wasm, "write_modules", compile_to)
    assert wasm.modules(wasm.TRAINING) == first


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("node") or os.environ.get("CI")), reason="needs Node, which CI must have"
)
def test_wasm_kernels_are_small_and_import_only_memory_and_stack(tmp_path) -> None:
    for name, module in wasm.modules(wasm.TRAINING).items():
        (tmp_path / name).write_bytes(module)
    program = (
        "const fs = require('fs'), [folder] = process.argv.slice(1);"
        "for (const name of fs.readdirSync(folder)) {"
        "  const module = new WebAssembly.Module(fs.readFileSync(folder + '/' + name));"
        "  for (const { name: what } of WebAssembly.Module.imports(module))"
        "    console.log(name, what);"
        "}"
    )
    out = run_process(["node", "-e", program, tmp_path], check=True).stdout.splitlines()
    assert {line.split()[0] for line in out} == dict(wasm.TRAINING).keys()
    assert {line.split()[1] for line in out} == {"__linear_memory", "__stack_pointer"}
    assert max(file.stat().st_size for file in tmp_path.iterdir()) < 60_000


def test_a_failure_of_the_compiler_raises_a_config_error(monkeypatch) -> None:
    monkeypatch.setattr(wasm.kernel_cache, "read_kept", lambda *args: None)
    monkeypatch.setattr(wasm.preparation, "compile_together", lambda *args, **options: False)
    with pytest.raises(ConfigError, match="cannot be compiled to WebAssembly"):
        wasm.modules()
