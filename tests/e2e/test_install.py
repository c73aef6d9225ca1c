"""The wheels, built and installed as a pip user does."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from commands import run_process

from microgpt.engine import processor

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.long
def test_wheels_work_outside_the_repository(tmp_path: Path) -> None:
    def run(*command: str | Path, code: int = 0) -> str:
        done = run_process(command, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    folders = (
        "libs/microgpt",
        "evolution",
        "apis/microgpt_serve",
        "apps/microgpt_report",
        "apps/microgpt_cli",
    )
    members = [ROOT / folder for folder in folders]
    for member in members:
        run("uv", "build", member, "--out-dir", tmp_path / "dist")
    run("uv", "venv", "--python", sys.executable, tmp_path / "venv")
    wheels = sorted((tmp_path / "dist").glob("*.whl"))
    assert len(wheels) == len(list((tmp_path / "dist").glob("*.tar.gz"))) == len(members)
    (library,) = (wheel for wheel in wheels if wheel.name.startswith("microgpt_lib"))
    packed = ZipFile(library).namelist()
    assert {"microgpt/_data/names.txt", "microgpt/_data/shakespeare.txt"} < {*packed}
    assert not [name for name in packed if "oasst1" in name.lower()]  # see decision 26
    run("uv", "pip", "install", "--python", tmp_path / "venv/bin/python", *wheels)
    assert run(tmp_path / "venv/bin/microgpt", "chat", "--message", "hi")  # by the demo model
    out = run(tmp_path / "venv/bin/microgpt", "train", "--steps", "2", "--num-samples", "1")
    assert out.startswith("num docs: 32033\n")
    proof = run(tmp_path / "venv/bin/microgpt", "verify", "--steps", "2")
    assert proof.count(": Karpathy's run, 2 of 1000 steps") == 3
    out = run(tmp_path / "venv/bin/microgpt", "run", "--steps", "50", "--silent")
    assert out.startswith("=== MicroGPT [Primordial] ===\n")
    (tmp_path / "output" / "history.jsonl").write_text('{"step": 2, "loss": 3.25}\n')
    refused = run(tmp_path / "venv/bin/microgpt", "serve", "--port", "-1", code=2)
    assert refused == "error: PORT must be >= 0, got -1\n"
    missing = run(tmp_path / "venv/bin/microgpt", "plot", "output", code=2)  # without its extra
    assert missing.endswith("pip install 'microgpt-cli[plots]'\n")
    subwords = [tmp_path / "venv/bin/microgpt", "train", "--steps", "1", "--tokenizer", "bpe"]
    missing = run(*subwords, "--output", "subwords", code=2)
    assert missing.endswith("pip install 'microgpt-lib[bpe]'\n")
    extras = "microgpt-cli[bpe,patterns,plots]"
    run("uv", "pip", "install", "--python", tmp_path / "venv/bin/python", extras)
    run(tmp_path / "venv/bin/microgpt", "plot", "output")
    assert "vocab size: 1024\n" in run(*subwords, "--output", "subwords")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(
    processor.IN_WHEEL is None, reason="no wheel has machine code for this processor"
)
def test_a_wheel_with_machine_code_needs_no_compiler(tmp_path: Path) -> None:
    def run(*command: str | Path, **settings: str) -> str:
        return run_process(command, cwd=tmp_path, env={**os.environ, **settings}, check=True).stdout

    build = ("uv", "build", "--wheel", ROOT / "libs/microgpt", "--out-dir", tmp_path / "dist")
    assert processor.IN_WHEEL
    run(*build, MICROGPT_MACHINE_CODE=processor.IN_WHEEL)
    (wheel,) = (tmp_path / "dist").glob("*-manylinux2014_x86_64.whl")
    assert wheel.stat().st_size < 3e6
    packed = ZipFile(wheel).namelist()
    assert {"microgpt/_wasm/take_steps-f4.wasm", "microgpt/_wasm/decode-f8.wasm"} < {*packed}
    run("uv", "venv", "--python", sys.executable, tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    run("uv", "pip", "install", "--python", python, wheel)
    program = (
        "import json, sys\n"
        "from microgpt import InferenceGpt, ModelConfig, TrainConfig, train\n"
        "docs, found = ['anna', 'emma', 'bob', 'olivia'] * 20, []\n"
        "for threads in (1, 2):\n"
        "    for dtype in ('float32', 'float64'):\n"
        "        config = TrainConfig(steps=20, batch_size=64, optimizer='muon')\n"
        "        shape = ModelConfig(n_embd=64, n_head=4, positions='rotary')\n"
        "        result = train(docs, model=shape, config=config, dtype=dtype, threads=threads)\n"
        "        model = InferenceGpt(result)\n"
        "        names = model.generate(20, seed=1) + model.generate(1, seed=2)\n"
        "        found.append([result.losses, names])\n"
        "print(json.dumps(found), 'numba' in sys.modules)"
    )
    alone = run(python, "-c", program, NUMBA_CACHE_DIR=str(tmp_path / "empty"))
    assert alone.endswith("False\n")
    assert not (tmp_path / "empty").exists()
    assert run(sys.executable, "-c", program).split("]")[:-1] == alone.split("]")[:-1]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(python, "-c", program, NUMBA_CPU_NAME="generic")
    assert caught.value.stderr.endswith("pip install 'microgpt-lib[compiler]'\n")
