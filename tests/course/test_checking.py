"""A learner's file is checked in a process that ends, whatever the file does."""

import re
from pathlib import Path

import pytest

from microgpt.data.documents import bundled
from microgpt_course import exercises
from microgpt_course.checking import check_file

SCHEDULE = "def learning_rate(step, steps, lr, warmup=0):\n"
ENDINGS = {
    "return rate": "line 2: NameError: name 'rate' is not defined, in learning_rate.0, steps=10",
    "return (": "11_schedule.py, line 2: '.' was never closed",
    "raise SystemExit": "line 2: the file ends Python; remove the call of exit",
    "import os; os._exit(0)": "11_schedule.py: the file ended Python before the check was complete",
    "return learning_rate(step, steps, lr)": "line 2: a function calls itself without an end",
    "return None": "steps=10, lr=0.02. is None; .* Is `return` missing?",
    "return [0] * 10**10": "line 2: more than 2 GB of memory",
}


@pytest.mark.parametrize("body", ENDINGS)
def test_a_file_that_fails_is_described_in_a_sentence(tmp_path: Path, body: str) -> None:
    path = tmp_path / "11_schedule.py"
    path.write_text(f"{SCHEDULE}    {body}\n")
    assert re.search(ENDINGS[body], check_file("11_schedule", path).wrong)


def test_what_a_file_prints_is_shown_without_the_rest_of_a_flood(tmp_path: Path) -> None:
    path = tmp_path / "11_schedule.py"
    path.write_text("for i in range(100_000):\n    print('line', i)\n")
    outcome = check_file("11_schedule", path)
    printed = [line for label, line in outcome.shown if label == "printed"]
    assert [printed[0], len(printed), printed[-1]] == ["line 0", 40, "..."]
    assert "no `learning_rate` in this file" in outcome.wrong


@pytest.mark.parametrize("line", ['{"__class__": 5}', '{"right": 5}', "5", "{"])
def test_json_that_a_file_writes_itself_is_ignored(tmp_path: Path, line: str) -> None:
    path = tmp_path / "11_schedule.py"
    path.write_text(f"import os\nos.write(1, {line.encode()!r})\nos._exit(0)\n")
    problem = "11_schedule.py: the file ended Python before the check was complete"
    outcome = check_file("11_schedule", path)
    assert (outcome.wrong, outcome.shown) == (problem, [])


@pytest.mark.slow
def test_an_endless_loop_is_ended_and_its_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "11_schedule.py"
    path.write_text(f"{SCHEDULE}    while True:\n        pass\n")
    problem = check_file("11_schedule", path).wrong
    assert problem.startswith("11_schedule.py, line ")
    assert problem.endswith("still running after 5 seconds; is there a loop that does not end?")


def test_a_program_that_prints_other_losses_is_wrong_in_its_step(tmp_path: Path) -> None:
    path = tmp_path / "13_karpathy.py"
    path.write_text("print('step 1 loss 3.3660')\nprint('step 2 loss 3.4000')\n")
    problem = check_file(exercises.WHOLE, path).wrong
    assert problem.startswith("the loss of step 2 is 3.4; it should be 3.4243. The first")
    path.write_text("print('step 1 loss 3.3660', end='\\r')\n")
    problem = check_file(exercises.WHOLE, path).wrong
    assert problem == "the program ended before it printed the loss of step 2"


@pytest.mark.slow
def test_the_solution_of_the_program_prints_a_hundred_losses(tmp_path: Path) -> None:
    place = 'Path(__file__).parents[1] / "data" / "names.txt"'
    source = exercises.solution(exercises.WHOLE)
    assert place in source
    path = tmp_path / "13_karpathy.py"
    path.write_text(source.replace(place, 'Path(__file__).with_name("names.txt")'))
    (tmp_path / "names.txt").write_bytes(bundled("names.txt").read_bytes())
    outcome = check_file(exercises.WHOLE, path)
    assert (outcome.wrong, outcome.shown[-1]) == ("", ("right", "the loss of step 100"))


def test_a_file_that_replaces_abs_is_still_compared(tmp_path: Path) -> None:
    path = tmp_path / "02_value.py"
    source = exercises.solution("02_value").replace("self.data * other.data", "1.0")
    path.write_text(f"import builtins\nbuiltins.abs = lambda x: 0.0\n{source}")
    assert "x * y is Value(1.0); it should be Value(6.0)." in check_file("02_value", path).wrong


def test_experiments_are_those_of_the_page() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "change.md").read_text(encoding="utf-8")
    hole = exercises.HOLE.search(exercises.solution(exercises.EXPERIMENTS))
    assert hole[3].strip() in page
