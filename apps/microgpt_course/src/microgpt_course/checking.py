"""Check a learner's file in a process of its own, which ends whatever the file does.

    python -m microgpt_course.checking 03_backward PATH EXPERIMENT

EXPERIMENT may be empty. The process prints a JSON object per line: what is `right`, what the file
has `printed`, the `figure` of an experiment, and at the end what is `wrong`, empty if nothing is.
`check_file` starts it and reads these lines.
"""

import io
import json
import os
import re
import runpy
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from microgpt import bundled, load_text
from microgpt_course.checks import ERRORS, check
from microgpt_course.exercises import EXPERIMENTS, UNCHANGED, WHOLE
from microgpt_course.facts import Wrong

PATIENCE = 6  # a check may take this many times its limit of processor time
LIMIT = 5.0  # processor seconds for a check; unless a loop does not end, it takes less than one
LONG_LIMIT = 600.0  # for the whole program, and for an experiment
MAX_MEMORY = 2 << 30  # bytes
N_LOSSES = 100  # losses of the whole program that are compared
MAX_PRINTED = 40  # lines of the learner's output that are shown
LOSS = re.compile(r"loss\s*[:=]?\s*(-?\d+\.\d+|nan|inf)\s*$", re.IGNORECASE)
STEP_HINTS = (  # for the first loss that differs
    "Are the names shuffled first, and the matrices drawn in the order of point 2? Is there BOS at "
    "both ends, an rmsnorm after the embedding, and a mean over the predictions?",
    "The first loss is right. Look at the gradients, at Adam, and whether each name gets new keys "
    "and values.",
    "Are all gradients set to 0 in each step, and is the learning rate 0.01 * (1 - s / 1000)?",
)
ENDS = {  # the learner reads these instead of a traceback
    "NotImplementedError": "`raise NotImplementedError` is still there; replace it by your code",
    "SystemExit": "the file ends Python; remove the call of exit",
    "RecursionError": "a function calls itself without an end, or more than 1,000 times",
    "MemoryError": "more than 2 GB of memory; is there a list that grows without an end?",
}
KINDS = {"right": str, "printed": str, "wrong": str, "predictions": dict, "figure": float}
_results = sys.stdout


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
    command = [sys.executable, "-m", "microgpt_course.checking", name, str(path), extra]
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
                    seen = getattr(result, kind)
                    setattr(result, kind, [*seen, value] if isinstance(seen, list) else value)
    return result


def tell(**fact: object) -> None:
    """Send one line to the parent process."""
    print(json.dumps(fact), file=_results, flush=True)


class Finished(BaseException):
    """The learner's program has printed all that is compared."""


class Printed(io.TextIOBase):
    """Receives the output of the learner's file, line by line."""

    def __init__(self) -> None:
        self.rest, self.n_lines = "", 0

    def write(self, text: str) -> int:
        """Pass on the lines that are complete."""
        *lines, self.rest = re.split(r"[\r\n]", self.rest + text)
        for line in filter(str.strip, lines):
            self.line(line)
        return len(text)

    def line(self, line: str) -> None:
        """Show a line to the learner."""
        self.n_lines += 1
        if self.n_lines <= MAX_PRINTED:
            tell(printed=line[:200] if self.n_lines < MAX_PRINTED else "...")


class Compared(Printed):
    """Compares the losses that a program prints with those of Karpathy's run."""

    def __init__(self) -> None:
        super().__init__()
        golden = json.loads(bundled("karpathy_seed42.json").read_text(encoding="utf-8"))
        self.losses, self.n_losses = golden["losses"], 0

    def line(self, line: str) -> None:
        """Raise Wrong at the first difference, and Finished after the last comparison."""
        if not (found := LOSS.search(line)):
            super().line(line)
            return
        printed, right = found[1], self.losses[self.n_losses]
        n_digits = min(len(printed.partition(".")[2]), 6)  # the rest may differ by rounding
        if not abs(float(printed) - right) <= 0.6 * 10.0**-n_digits:
            why = STEP_HINTS[min(self.n_losses, len(STEP_HINTS) - 1)]
            raise Wrong(f"the loss of step {self.n_losses + 1} is {printed}; it should be "
                        f"{right:.{n_digits}f}. {why}")  # fmt: skip
        self.n_losses += 1
        if self.n_losses == N_LOSSES:
            tell(right=f"the first {N_LOSSES} losses, the last is {printed}")
            raise Finished


def run(name: str, path: Path, extra: str) -> None:
    """Run the learner's file and check what it defines or prints."""
    if name == WHOLE:
        sys.stdout = printed = Compared()
        with suppress(Finished):
            runpy.run_path(str(path), run_name="__main__")
            n = printed.n_losses
            what = f"{n} loss{'es' * (n > 1)}" if n else 'no line that ends with "loss 3.3660"'
            raise Wrong(f"the program ended after printing {what}")
        return
    sys.stdout = Printed()
    namespace = runpy.run_path(str(path), run_name=name)
    if name != EXPERIMENTS:
        for fact in check(name, namespace):
            if problem := fact.problem():
                raise Wrong(problem)
            tell(right=fact.what)
        return
    experiments = namespace["experiments"]
    if not extra:
        tell(predictions={each: namespace["predictions"].get(each) for each in experiments})
        return
    settings = {UNCHANGED: {}, **experiments}[extra]
    loss = namespace["held_out_loss"](load_text(path.with_name("names.txt")), **settings)
    tell(figure=float(loss))


def problem_of(error: BaseException, path: Path, name: str) -> str:
    """Return a sentence on an exception, with the line of the learner's file and the call."""
    if isinstance(error, Wrong):
        return str(error)
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path.name}, line {error.lineno}: {error.msg}"
    frames = [*traceback.walk_tb(error.__traceback__)]
    line = f"{path.name}{_line(frames, path)}"
    kind = type(error).__name__
    if kind in ENDS:
        return f"{line}: {ENDS[kind]}"
    why = f". {found}" if (found := ERRORS.get((name, kind))) else ""
    return f"{line}: {kind}{_call(frames, path)}: {error}{why}"


def _call(frames: Iterable[tuple[FrameType, int]], path: Path) -> str:
    """Return the call of the learner's function, with its arguments as they are now."""
    calls = [frame for frame, _ in frames if frame.f_code.co_filename == str(path)]
    if len(calls) == 0 or calls[0].f_code.co_name == "<module>":
        return ""
    code, held = calls[0].f_code, calls[0].f_locals
    names = [name for name in code.co_varnames[: code.co_argcount] if name != "self"]
    arguments = ", ".join(f"{name}={str(held.get(name))[:60]}" for name in names)
    return f" in {code.co_qualname}({arguments})"


def _line(frames: Iterable[tuple[FrameType, int]], path: Path) -> str:
    lines = [n for frame, n in frames if frame.f_code.co_filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def _watch(path: Path, main: int, limit: float) -> None:
    while time.process_time() < limit:
        time.sleep(0.1)
    frames = traceback.walk_stack(sys._current_frames()[main])
    line = _line(reversed([*frames]), path)
    tell(
        wrong=f"{path.name}{line}: still running after {limit:.0f} seconds; is there a loop that "
        "does not end?"
    )
    os._exit(1)


def main() -> None:
    """Check the file that is named by the arguments."""
    name, path, extra = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    limit = LONG_LIMIT if name in (WHOLE, EXPERIMENTS) else LIMIT
    watch = (path, threading.get_ident(), limit)
    threading.Thread(target=_watch, args=watch, daemon=True).start()
    try:
        run(name, path, extra)
    except BaseException as error:
        tell(wrong=problem_of(error, path, name))
    else:
        tell(wrong="")
    os._exit(0)  # whatever threads and exit functions the file has left


if __name__ == "__main__":
    main()
