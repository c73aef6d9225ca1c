"""Run a learner's file in a separate process, with limits of time and memory.

    python -m microgpt_course.learner_process 03_backward PATH EXPERIMENT

EXPERIMENT can be empty. The process prints a JSON object per line: {"printed": line of output},
{"result": value to compare}, facts about experiments and, at the end, {"wrong": error, or ""}.
"""

import io
import json
import os
import re
import runpy
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from microgpt import load_text
from microgpt_course.exercises import EXPERIMENTS, UNCHANGED, WHOLE, check_lines, finite_difference

LIMIT = 5.0  # processor seconds for a check; a correct file takes less than one
LONG_LIMIT = 600.0  # processor seconds for the whole program or an experiment
MAX_MEMORY = 2 << 30  # maximum memory of the process in bytes
LOSS = re.compile(r"loss\s*[:=]?\s*(-?\d+\.\d+|nan|inf)\s*$", re.IGNORECASE)
ENDS = {  # messages that replace the traceback of an exception
    "NotImplementedError": "`raise NotImplementedError` is still there; write your code instead",
    "KeyboardInterrupt": "still running after 5 seconds; is there a loop that does not end?",
    "SystemExit": "the file ends Python; remove the call to exit",
    "RecursionError": "a function calls itself without an end, or more than 1,000 times",
    "MemoryError": "more than 2 GB of memory; is there a list that grows without an end?",
}
_results = sys.stdout


def tell(**fact: object) -> None:
    """Send a fact to the parent process, as a line of JSON."""
    print(json.dumps(fact), file=_results, flush=True)


class Printed(io.TextIOBase):
    """Receives the output of the learner's file, and sends complete lines to the parent process."""

    def __init__(self, *, has_losses: bool) -> None:
        self.rest, self.has_losses = "", has_losses

    def write(self, text: str) -> int:
        """Add text to the output, and send each complete line to the parent process."""
        *complete, self.rest = re.split(r"[\r\n]", self.rest + text)
        for line in filter(str.strip, complete):
            if self.has_losses and (found := LOSS.search(line)):
                tell(result=round(float(found[1]), 4))
            else:
                tell(printed=line[:200])
        return len(text)


def plain(result: Any) -> Any:
    """Convert a result to JSON types; a Value becomes an object {class name: number}."""
    if result is None or isinstance(result, int | float | str):
        return result
    if isinstance(result, list | tuple):
        return type(result)(plain(each) for each in result)
    number = getattr(result, "data", None)
    return {type(result).__name__: number if isinstance(number, int | float) else None}


def facts(name: str, path: Path, experiment: str = "") -> Iterator[dict[str, object]]:
    """Run the learner's file and its check, and yield the results, up to the first error."""
    question = ""
    try:
        main = "__main__" if name == WHOLE else name
        scope = {"finite_difference": finite_difference, **runpy.run_path(str(path), run_name=main)}
        if experiment:
            settings = {UNCHANGED: {}, **scope["experiments"]}.get(
                experiment, {"lr": scope["my_rate"]}
            )
            yield {"figures": scope["measure"](load_text(path.with_name("names.txt")), **settings)}
        elif name == EXPERIMENTS:
            made = {each: scope["predictions"].get(each) for each in scope["experiments"]}
            yield {"predictions": made, "rate": scope["my_rate"]}
        for line in () if experiment else check_lines(name):
            question = f", in {line.code}. {line.question}"
            if line.is_compared:
                yield {"result": plain(eval(line.code, scope))}
            else:
                exec(line.code, scope)
        yield {"wrong": ""}
    except BaseException as error:
        yield {"wrong": problem_of(error, path, question)}


def problem_of(error: BaseException, path: Path, question: str) -> str:
    """Describe an exception in a sentence, with its line in the learner's file and in the check."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path.name}, line {error.lineno}: {error.msg}"
    frames, kind = traceback.walk_tb(error.__traceback__), type(error).__name__
    numbers = [n for frame, n in frames if frame.f_code.co_filename == str(path)]
    if isinstance(error, NameError) and not numbers:
        return f"there is no `{error.name}` in this file; was it renamed or deleted?"
    place = f"{path.name}, line {numbers[-1]}" if numbers else path.name
    return f"{place}: {ENDS.get(kind, f'{kind}: {error}{question}')}"


def main() -> None:
    """Run the learner's file that the command line names, and print the results."""
    name, path, experiment = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    with suppress(ImportError, ValueError, OSError):  # Windows has no `resource` and no SIGPROF
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        signal.signal(signal.SIGPROF, signal.default_int_handler)  # SIGPROF acts like Ctrl-C
        limit = LONG_LIMIT if name in (WHOLE, EXPERIMENTS) else LIMIT
        signal.setitimer(signal.ITIMER_PROF, limit)
    sys.stdout = Printed(has_losses=name == WHOLE)
    for fact in facts(name, path, experiment):
        tell(**fact)
    os._exit(0)  # also ends threads that the file has started, and skips its exit functions


if __name__ == "__main__":
    main()
