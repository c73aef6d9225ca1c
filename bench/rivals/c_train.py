"""Contender for train_speed.py: a program in C that was built by hand for one setting.

bench/README.md describes how to build the programs. They draw their own weights, read the documents
from their working directory, and print how fast they trained.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean

from job import Job

TRAINED = 3.0  # nats per token; 3.3 before the first step, and about 2.4 at the end


def main() -> None:
    """Run the program to warm up, and again for each line of input."""
    job, program = Job.load(sys.argv[1]), sys.argv[2]
    names = ["".join(chr(ord("a") + token) for token in doc[1:-1]) for doc in job.docs]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("names.txt", "c_names.txt"):
            Path(folder, name).write_text("\n".join(names) + "\n")
        print(json.dumps({"ready": seconds_per_step(program, folder) * job.steps}), flush=True)
        for _ in sys.stdin:
            seconds = seconds_per_step(program, folder) * job.steps
            print(json.dumps({"seconds": seconds, "result": []}), flush=True)


def seconds_per_step(program: str, folder: str) -> float:
    """Train once, and return the seconds per step that the program prints."""
    printed = subprocess.run(
        [program], cwd=folder, stdout=subprocess.PIPE, check=True
    ).stdout.decode(errors="replace")
    losses = [float(each) for each in re.findall(r"loss.*?(\d\.\d+)", printed)]
    if not fmean(losses[-5:]) < TRAINED:
        sys.exit(f"{program} does not learn: {losses}")
    if match := re.search(r"([\d.]+) steps/s", printed):
        return 1 / float(match[1])
    return float(re.search(r"Average step: ([\d.]+) us", printed)[1]) / 1e6


if __name__ == "__main__":
    main()
