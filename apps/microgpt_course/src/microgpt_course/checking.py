"""Start the check of a learner's file, and read what it found."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from microgpt_course.child import LIMIT, LONG_LIMIT
from microgpt_course.exercises import EXPERIMENTS, WHOLE

PATIENCE = 6  # a check may take this many times its limit of processor time


@dataclass
class CheckResult:
    """What a check found."""

    right: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    wrong: str = ""  # the first problem; empty if there is none
    predictions: dict[str, float | None] = field(default_factory=dict)  # of the experiments
    figure: float = 0.0  # the loss of an experiment, in nats per token


def check_file(name: str, path: Path, extra: str = "") -> CheckResult:
    """Check a learner's file in a process of its own.

    Args:
        extra: of the experiments, the one to run; without it, only their predictions are read.
    """
    child = (sys.executable, "-m", "microgpt_course.child")
    command = [*child, name, str(path), *([extra] if extra else [])]
    limit = LONG_LIMIT if name in (WHOLE, EXPERIMENTS) else LIMIT
    outcome, is_done = CheckResult(), False
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        output, _ = process.communicate(timeout=PATIENCE * limit)
    except subprocess.TimeoutExpired:  # it waits, or a call of C code does not end
        outcome.wrong = f"{path.name}: still running after {PATIENCE * limit:.0f} seconds"
        return outcome
    finally:
        process.kill()
        process.wait()
    for line in output.decode(errors="replace").splitlines():
        try:
            fact = json.loads(line)
            kind, value = next(iter(fact.items()))
        except (ValueError, AttributeError, StopIteration):
            continue  # written by the learner's file, past sys.stdout
        if kind in ("right", "printed"):
            getattr(outcome, kind).append(str(value))
        elif kind == "wrong":
            outcome.wrong = outcome.wrong or str(value)
        elif kind in ("figure", "predictions"):
            setattr(outcome, kind, value)
        is_done = is_done or kind == "done"
    if not is_done and not outcome.wrong:
        outcome.wrong = f"{path.name}: the file ended Python before the check was complete"
    return outcome
