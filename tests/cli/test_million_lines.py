import os
import sys

import pytest
from commands import run_process

# Linux counts the memory of the one that starts a process as that of the process, so a small one
# has to start it.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_of(folder, *args: str) -> int:
    """Return the most memory, in bytes, that a command takes."""
    command = [sys.executable, "-c", PEAK, "microgpt", *args]
    done = run_process(command, cwd=folder)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


@pytest.mark.slow
@pytest.mark.long
def test_training_on_a_million_lines_takes_bounded_memory(tmp_path) -> None:
    lines = (f"{i * 2_654_435_761 % 2**32:x}" for i in range(1_000_000))
    (tmp_path / "million.txt").write_text("\n".join(lines))
    (tmp_path / "few.txt").write_text("anna\nemma\n" * 20)
    size = os.stat(tmp_path / "million.txt").st_size
    idle = peak_of(tmp_path, "train", "--input", "few.txt", "--output", "few", "--steps", "1")
    whole = ("--steps", "3907", "--batch-size", "256", "--val-fraction", "0.01")
    whole += ("--n-embd", "1", "--n-head", "1")
    used = peak_of(tmp_path, "train", "--input", "million.txt", "--output", "million", *whole)
    assert used - idle <= 10 * size + 150_000_000
