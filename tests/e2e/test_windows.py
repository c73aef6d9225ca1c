"""Kernels for Windows, loaded on Linux as far as possible; for macOS, see test_aarch64.py."""

import os
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run_process

from microgpt.engine.preparation import cross_compile

JOB = Path(__file__).resolve().parents[2] / "bench/same_bits_job.py"
SSE2 = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
GAUSS = """
import random, sys
from pathlib import Path
import foreign
foreign.install("windows-x86-64", Path(sys.argv[1]))
from microgpt.engine import mersenne
rng = random.Random(3)
assert mersenne.gauss(5, 1.0, random.Random(3)).tolist() == [rng.gauss(0, 1) for _ in range(5)]
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="loads them on Linux, x86-64"
)
def test_the_machine_code_for_windows_computes_the_same_bits(tmp_path) -> None:
    """Losses and weights of 50 steps of each architecture, names and initial weights."""
    folder = tmp_path / "windows"
    folder.mkdir(0o700)
    cross_compile("windows-x86-64", folder)
    env = {**os.environ, **SSE2, "PYTHONPATH": str(JOB.parent)}
    for name, options in (("linux", []), ("windows", ["--foreign", "windows-x86-64", folder])):
        command = [sys.executable, JOB, tmp_path / f"{name}.npz", *options]
        run_process(command, env=env, check=True)
    expected, found = (np.load(tmp_path / f"{name}.npz") for name in ("linux", "windows"))
    assert len(expected.files) == 40
    for name in expected.files:
        np.testing.assert_array_equal(found[name], expected[name], name)
    run_process([sys.executable, "-c", GAUSS, folder], env=env, check=True)
