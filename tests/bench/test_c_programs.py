"""Programs in C as contenders of bench/train_speed.py: what they read, and what they print."""

import subprocess
import sys
from pathlib import Path

import contenders
import numpy as np
import pytest
import train_speed
from contenders import Contender, job_of
from harness import script
from machine import machine

from microgpt.config import ModelConfig

PRINTED = {
    "microgpt-c": "step 100 / 1000 | loss {} | 0m00s\nTraining: 0.5 s | 2000.0 steps/s",
    "EEmicroGPT": "Average step: 500.00 us\nAvg loss (last 100): {}",
}


def command(folder: Path, name: str, loss: str) -> list[str]:
    """Return the command of a contender whose program prints a speed if it finds the names."""
    program = folder / name
    shown = PRINTED[name].format(loss)
    program.write_text(
        f"#!/bin/sh\ngrep -qx emma names.txt && grep -qx ab c_names.txt && echo '{shown}'\n"
    )
    program.chmod(0o755)
    docs = [[26, 4, 12, 12, 0, 26], [26, 0, 1, 26]]
    job_of(ModelConfig(), {"wte": [[0.0]]}, batch_size=1, steps=4, docs=docs).save(
        str(folder / "job.npz")
    )
    path = contenders.RIVAL_SCRIPTS / "c_train.py"
    return script(path, folder / "job.npz", program, python=sys.executable)


@pytest.mark.parametrize("name", PRINTED)
def test_a_c_program_is_timed_by_the_speed_it_prints(tmp_path: Path, name: str) -> None:
    with Contender(name, command(tmp_path, name, "2.4123")) as found:
        found.work()
    assert np.allclose([found.warm_up_s, *found.seconds], 4 / 2000)


def test_a_c_program_that_does_not_learn_is_refused(tmp_path: Path) -> None:
    refused = command(tmp_path, "microgpt-c", "3.3001")
    done = subprocess.run(refused, input="", capture_output=True, text=True)
    assert done.returncode == 1
    assert "does not learn: [3.3001]" in done.stderr


def test_the_table_of_c_programs_lists_settings_that_have_them() -> None:
    both = {"microgpt": {"seconds": [0.002]}, "microgpt-c": {"seconds": [0.001]}}
    settings = [
        {"name": "d16, batch 1", "documents": 100, "contenders": both},
        {
            "name": "chat",
            "documents": 100,
            "tokens": 9,
            "contenders": {"microgpt": both["microgpt"]},
        },
    ]
    results = {"machine": machine(), "date": "2026-11-26", "settings": settings}
    lines = train_speed.c_table(results).splitlines()
    assert lines[2].startswith("| d16, batch 1 |")
    assert lines[2].endswith("| **20.0 µs** | 10.0 µs (0.5 ×) |  |")
    assert len(lines) == 5
    assert train_speed.c_table({**results, "settings": settings[1:]}) == ""
