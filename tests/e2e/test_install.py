"""The wheels, built and installed as a pip user does."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.long
def test_wheels_work_outside_the_checkout(tmp_path: Path) -> None:
    def run(*command: str | Path, code: int = 0) -> str:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
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
    extras = "microgpt-cli[bpe,plots]"
    run("uv", "pip", "install", "--python", tmp_path / "venv/bin/python", extras)
    run(tmp_path / "venv/bin/microgpt", "plot", "output")
    assert "vocab size: 1024\n" in run(*subwords, "--output", "subwords")
