"""Start the check of a learner's file, and read what it found."""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from microgpt_course.child import LIMIT, LONG_LIMIT
from microgpt_course.exercises import EXPERIMENTS, WHOLE

PATIENCE = 6  # a check may take this many times its limit of processor time
KINDS = {"right": str, "printed": str, "wrong": str, "predictions": dict, "figure": float}


@dataclass
class CheckResult:
    """What a check found; each field is a kind of line that the process prints."""

    right: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    wrong: str = ""  # the problem; empty if there is none
    predictions: dict[str, float | None] = field(default_factory=dict)  # of the experiments
    figure: float = 0.0  # the loss of an experiment, in nats per token


def check_file(name: str, path: Path, extra: str = "") -> CheckResult:
    """Check a learner's file in a process of its own.

    Args:
        extra: of the experiments, the one to run; without it, only their predictions are read.
    """
    command = [sys.executable, "-m", "microgpt_course.child", name, str(path), extra]
    longest = PATIENCE * (LONG_LIMIT if name in (WHOLE, EXPERIMENTS) else LIMIT)
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    try:
        done = subprocess.run(command, stdin=null, stdout=pipe, timeout=longest, check=False)
    except subprocess.TimeoutExpired:  # it waits, or a call of C code does not end
        return CheckResult(wrong=f"{path.name}: still running after {longest:.0f} seconds")
    result = CheckResult(wrong=f"{path.name}: the file ended Python before the check was complete")
    for line in done.stdout.decode(errors="replace").splitlines():
        with suppress(ValueError, AttributeError):  # written by the file, past sys.stdout
            for kind, value in json.loads(line).items():
                if isinstance(value, KINDS.get(kind, ())):
                    told = getattr(result, kind)
                    setattr(result, kind, [*told, value] if isinstance(told, list) else value)
    return result
