"""Check a learner's file: compare the results of its process with those of the solution.

The comparison runs in the parent process, so that nothing in the learner's file can affect it.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from runpy import run_path
from threading import Timer
from typing import Any, NamedTuple

from microgpt import bundled
from microgpt_course.exercises import EXPERIMENTS, SOLUTIONS, WHOLE, check_lines, finite_difference
from microgpt_course.learner_process import LIMIT, LONG_LIMIT, plain

PATIENCE = 6  # maximum duration of a check, as a multiple of its limit of processor time
TOLERANCE = 1e-6  # relative for numbers above 1; exceeds rounding and finite-difference errors
MAX_PRINTED = 40  # maximum number of lines of the learner's output to show
N_LOSSES = 100  # number of losses that are compared in exercise 13
STEP_QUESTIONS = (  # hints on the first wrong loss: in step 1, in step 2, or later
    "Are the names shuffled first, and the matrices drawn in the order of point 2? Is there BOS at "
    "both ends, an rmsnorm after the embedding, and a mean over the predictions?",
    "The first loss is right. Check the gradients and Adam. Does each name start with empty lists "
    "of keys and values?",
    "Are all gradients set to 0 in each step, and does the learning rate follow point 4?",
)


@dataclass
class CheckResult:
    """The lines that a check shows, the first problem, and the results of experiments."""

    shown: list[tuple[str, str]] = field(default_factory=list)  # pairs of a label and a line
    wrong: str = ""  # the problem; empty if there is none
    facts: dict[str, Any] = field(default_factory=dict)  # results of the experiments


class Question(NamedTuple):
    """A result to compare, and a question that hints at the usual mistake if the result differs."""

    what: str  # the expression, as the learner would write it
    expected: Any
    question: str
    before: Sequence[str] = ()  # lines, shown to the learner, that ran since the last result
    source: str = "it should be"
    is_shown: bool = True


def check_file(name: str, path: Path, experiment: str = "") -> CheckResult:
    """Check a learner's file, or run one of its experiments, in a separate process."""
    arguments = ["microgpt_course.learner_process", name, str(path), experiment]
    longest = PATIENCE * (LONG_LIMIT if name in (WHOLE, EXPERIMENTS) else LIMIT)
    found = CheckResult(wrong=f"{path.name}: the file ended Python before the check was complete")
    questions = iter(()) if experiment else _losses() if name == WHOLE else questions_of(name)
    with subprocess.Popen(
        [sys.executable, "-m", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        timer = Timer(longest, process.kill)
        timer.start()
        compare(process.stdout or (), questions, found)
        if timer.finished.is_set():  # the time is up: the learner's file hangs
            found.wrong = f"{path.name}: still running after {longest:.0f} seconds"
        timer.cancel()
        process.kill()
    return found


def compare(output: Iterable[bytes], questions: Iterator[Question], found: CheckResult) -> None:
    """Compare a process's results with the expected ones up to the first error; fill in `found`."""
    question = next(questions, None)
    for kind, value in _facts(output):
        if kind == "result" and question:
            found.shown += [("", line) for line in question.before]
            if difference := _difference(value, question.expected):
                place, got, right = difference
                why = "Is `return` missing?" if value is None else question.question
                found.wrong = f"{question.what}{place} is {got}; {question.source} {right}. {why}"
                return
            if question.is_shown:
                found.shown.append(("right", question.what))
            if not (question := next(questions, None)):
                found.wrong = ""
                return
        elif kind == "wrong":
            early = f"the program ended before it printed {question.what}" if question else ""
            found.wrong = str(value) or early
            return
        elif kind == "printed":
            n = sum(label == kind for label, _ in found.shown)
            found.shown += [(kind, value if n < MAX_PRINTED - 1 else "...")] * (n < MAX_PRINTED)
        else:
            found.facts[kind] = value


def _facts(output: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    for text in output:
        with suppress(ValueError, AttributeError):  # not JSON: the learner's file wrote to the pipe
            yield from json.loads(text).items()


def questions_of(name: str) -> Iterator[Question]:
    """Run the check on the solution, and yield a question for each result to compare."""
    scope = {"finite_difference": finite_difference, **run_path(str(SOLUTIONS / f"{name}.py"))}
    before: list[str] = []
    for line in check_lines(name):
        if line.is_compared:
            source = "a finite difference gives" if line.expected else "it should be"
            expected = plain(eval(line.expected or line.code, scope))
            yield Question(line.code, expected, line.question, before, source)
            before = []
        else:
            exec(line.code, scope)
            before.append(line.code)


def _losses() -> Iterator[Question]:
    """Yield a question for each of the first losses of Karpathy's run."""
    golden = json.loads(bundled("karpathy_seed42.json").read_text(encoding="utf-8"))
    for i, loss in enumerate(golden["losses"][:N_LOSSES]):
        question = STEP_QUESTIONS[min(i, len(STEP_QUESTIONS) - 1)]
        is_shown = (i + 1) in (1, 2, 10, N_LOSSES)
        yield Question(f"the loss of step {i + 1}", round(loss, 4), question, is_shown=is_shown)


def _difference(got: Any, expected: Any, place: str = "") -> tuple[str, str, str] | None:
    """Return the first place where two results differ, and the values there; None if all agree."""
    if isinstance(expected, list | tuple):
        n = len(expected)
        if not isinstance(got, list) or len(got) != n:
            return place, _shown(got), f"a {type(expected).__name__} of {n}"
        parts = (_difference(got[i], expected[i], f"{place}[{i}]") for i in range(n))
        return next(filter(None, parts), None)
    a, b = got, expected
    if isinstance(got, dict) and isinstance(expected, dict) and got.keys() == expected.keys():
        [a], [b] = got.values(), expected.values()  # the numbers of two Values
    is_number = isinstance(a, int | float) and isinstance(b, int | float)
    if a == b or (is_number and abs(a - b) <= TOLERANCE * max(1.0, abs(b))):  # never true for NaN
        return None
    return place, _shown(got), _shown(expected)


def _shown(given: Any) -> str:
    if isinstance(given, dict) and len(given) == 1:
        [(kind, number)] = given.items()
        return f"an object of type {kind}" if number is None else f"{kind}({_shown(number)})"
    if isinstance(given, float):
        return repr(float(f"{given:.6g}"))
    return f"a list of {len(given)}" if isinstance(given, list) else repr(given)[:60]
