"""The wheel for Linux on aarch64, in an emulator, with a Python from Debian and without Numba."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError

import numpy as np
import pytest
from commands import run_process

from microgpt.engine.preparation import cross_compile

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "bench/same_bits_job.py"
TOOLS = ("qemu-aarch64-static", "debootstrap", "dpkg")
RELEASE, PYTHON = "bookworm", "3.11"  # a release of Debian and its Python
OTHERS = ("evolution", "apis/microgpt_serve", "apps/microgpt_report", "apps/microgpt_cli")
# A processor that rounds like those of aarch64: 16-byte vectors, fused multiply-add.
LIKE_ARM = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+fma"}

pytestmark = [pytest.mark.slow, pytest.mark.long]
Python = Callable[..., str]


def run(*command: str | Path, cwd: Path, **settings: str) -> str:
    done = run_process(command, cwd=cwd, env={**os.environ, **settings}, check=True)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def arm(tmp_path_factory) -> Python:
    """Return a function that runs the Python of an aarch64 computer in a directory."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or os.geteuid():
        pytest.skip(f"needs root and {', '.join(TOOLS)}; .ci/run installs them")
    folder = tmp_path_factory.mktemp("aarch64")
    root, site, dist = folder / "root", folder / "site", folder / "dist"
    system = ("--foreign", "--arch=arm64", "--variant=minbase", "--include=python3")
    try:
        run("debootstrap", *system, RELEASE, root, cwd=folder)
    except CalledProcessError as error:
        pytest.skip(f"Debian's packages for aarch64 cannot be fetched: {error.output}")
    for package in root.glob("var/cache/apt/archives/*.deb"):
        run("dpkg", "-x", package, root, cwd=folder)
    build = ("uv", "build", "--wheel", "--out-dir", dist)
    run(*build, ROOT / "libs/microgpt", cwd=folder, MICROGPT_MACHINE_CODE="linux-aarch64")
    for member in OTHERS:
        run(*build, ROOT / member, cwd=folder)
    install = ("uv", "pip", "install", "--only-binary=:all:", "--target", site)
    platform = ("--python-platform=aarch64-manylinux_2_28", f"--python-version={PYTHON}")
    run(*install, *platform, *dist.glob("*.whl"), cwd=folder)
    assert not (site / "numba").exists()
    libraries = [root / path / "aarch64-linux-gnu" for path in ("lib", "usr/lib")]
    settings = {
        "PYTHONHOME": root / "usr",
        "PYTHONPATH": site,
        "PYTHONDONTWRITEBYTECODE": 1,
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "NUMBA_CACHE_DIR": folder / "cache",
    }
    emulator = ["qemu-aarch64-static", "-L", root]
    for name, value in settings.items():
        emulator += ["-E", f"{name}={value}"]

    def python(*arguments: str | Path, cwd: Path) -> str:
        out = run(*emulator, root / f"usr/bin/python{PYTHON}", *arguments, cwd=cwd)
        assert not (folder / "cache").exists()  # nothing was compiled
        return out

    return python


def test_karpathys_run_generates_the_golden_names_on_aarch64(arm, golden, tmp_path) -> None:
    out = arm("-m", "microgpt_cli", "train", cwd=tmp_path)
    assert "step 1000 / 1000 | loss 2.6497\n" in out
    for i, name in enumerate(golden["names"], start=1):
        assert f"sample {i:2d}: {name}\n" in out


def test_verify_passes_on_aarch64(arm, tmp_path) -> None:
    out = arm("-m", "microgpt_cli", "verify", cwd=tmp_path)
    assert out.count("Karpathy's names: 20 of 20 agree") == 2


def test_aarch64_computes_the_same_bits_as_x86_with_fma(arm, tmp_path) -> None:
    """Losses and weights of 50 steps of each architecture, and 1,000 names."""
    assert "16-byte vectors with fused" in arm(JOB, tmp_path / "arm.npz", cwd=tmp_path)
    run(sys.executable, JOB, tmp_path / "x86.npz", cwd=tmp_path, **LIKE_ARM)
    expected, found = (np.load(tmp_path / f"{name}.npz") for name in ("x86", "arm"))
    assert len(expected.files) == 40
    for name in expected.files:
        np.testing.assert_array_equal(found[name], expected[name], name)


def test_the_machine_code_for_macos_computes_the_same_bits(arm, tmp_path) -> None:
    """Its objects, loaded on Linux as far as possible."""
    folder = tmp_path / "macos"
    folder.mkdir(0o700)
    cross_compile("macos-aarch64", folder)
    arm(JOB, tmp_path / "macos.npz", "--foreign", "macos-aarch64", folder, cwd=tmp_path)
    arm(JOB, tmp_path / "linux.npz", cwd=tmp_path)
    expected, found = (np.load(tmp_path / f"{name}.npz") for name in ("linux", "macos"))
    assert len(expected.files) == 40
    for name in expected.files:
        np.testing.assert_array_equal(found[name], expected[name], name)


def test_a_training_run_resumes_on_another_architecture(arm, tmp_path) -> None:
    """Halves on either, in either order, end in the same weights as both on one."""

    def x86(*arguments: str | Path) -> str:
        return run(sys.executable, "-m", "microgpt_cli", *arguments, cwd=tmp_path, **LIKE_ARM)

    def aarch64(*arguments: str | Path) -> str:
        return arm("-m", "microgpt_cli", *arguments, cwd=tmp_path)

    weights = {}
    for first in (x86, aarch64):
        for second in (x86, aarch64):
            name = f"{first.__name__}-{second.__name__}"
            first("train", "--steps", "150", "--num-samples", "0", "--output", name)
            out = second("train", "--resume", name, "--steps", "300", "--num-samples", "0")
            assert "resuming after step 150 of 300" in out
            assert "computed with" not in out
            weights[name] = json.loads((tmp_path / name / "weights.json").read_text())
    assert len(weights) == 4
    for found in weights.values():
        assert found == weights["x86-x86"]
