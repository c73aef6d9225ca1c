import hashlib
import json
import re
from pathlib import Path

import pytest
from commands import ok, refused

from microgpt.data.documents import bundled
from microgpt_course import exercises
from microgpt_course.checking import check_file

FIRST = "01_tokenizer"


@pytest.fixture
def place(microgpt, tmp_path: Path) -> Path:
    ok(microgpt("course", "start"))
    return tmp_path / "course"


def solve(place: Path, name: str) -> None:
    place.joinpath(f"{name}.py").write_text(exercises.solution(name))


def test_course_start_writes_all_exercises_and_suggests_a_check(microgpt, tmp_path: Path) -> None:
    done = ok(microgpt("course", "start", "mine"))
    assert done.stdout.splitlines()[0] == "Wrote 14 exercises to mine/"
    names = {f"{name}.py" for name in exercises.names()}
    found = {path.name for path in (tmp_path / "mine").iterdir()}
    assert found == names | {"names.txt", "progress.json"}
    command = done.stdout.rpartition(": microgpt ")[2].split()
    assert "still there; write your code" in microgpt(*command).stdout  # the suggested command runs


def test_course_start_refuses_a_file_and_a_directory_with_files(microgpt, place: Path) -> None:
    solve(place, FIRST)
    assert "has a course; go on with: microgpt course check" in refused(microgpt("course", "start"))
    (place / "progress.json").unlink()
    for path in (place, place / "names.txt"):
        assert "is not an empty directory" in refused(microgpt("course", "start", path))
    assert place.joinpath(f"{FIRST}.py").read_text() == exercises.solution(FIRST)


def test_course_check_names_the_problem_and_the_next_step(microgpt, place: Path) -> None:
    done = microgpt("course", "check")
    problem = (
        f"{FIRST}.py, line 19: `raise NotImplementedError` is still there; write your code instead"
    )
    assert (done.returncode, done.stdout) == (1, f"  wrong    {problem}\n")
    solve(place, FIRST)
    done = ok(microgpt("course", "check"))
    assert done.stdout.splitlines()[-2:] == [
        f"{FIRST} is right; 1 of 14 are done",
        "Next: course/02_value.py",
    ]
    done = microgpt("course", "check", "course/02_value.py")
    assert "02_value.py, line" in done.stdout
    assert done.stderr.endswith("microgpt course hint 2\n")


def test_a_passed_exercise_that_was_changed_is_checked_again(microgpt, place: Path) -> None:
    solve(place, FIRST)
    ok(microgpt("course", "check"))
    place.joinpath(f"{FIRST}.py").write_text("pass\n")
    assert "no `Tokenizer` in this file" in microgpt("course", "check").stdout


def test_repeated_hint_commands_print_all_hints_and_count_them(microgpt, place: Path) -> None:
    found = exercises.hints("03_backward")
    for n in (1, 2, 3, 3):
        text = f"03_backward, hint {n} of 3: {found[n - 1]}\n"
        assert ok(microgpt("course", "hint", "3")).stdout == text
    assert json.loads(place.joinpath("progress.json").read_text())["hints"] == {"03_backward": 3}


def test_course_show_prints_the_solution_of_an_exercise(microgpt, place: Path) -> None:
    shown = ok(microgpt("course", "show", "backward")).stdout
    assert shown == exercises.solution("03_backward") + "\n"
    page = Path(__file__).parents[2] / "examples" / "karpathy.py"
    assert ok(microgpt("course", "show", "13")).stdout == page.read_text() + "\n"


@pytest.mark.slow
def test_exercise_14_checks_the_answers_and_repeats_no_training(microgpt, place: Path) -> None:
    path = place / f"{exercises.EXPERIMENTS}.py"
    text = exercises.solution(exercises.EXPERIMENTS).replace("[:500]", "[:100]")
    path.write_text(text)
    done = microgpt("course", "check", "14")
    assert done.returncode == 1
    assert "the prediction of 'no attention' is None; write a number" in done.stdout
    text = re.sub(r": None,", ": 0.1,", text)
    path.write_text(text)
    done = microgpt("course", "check", "14")
    row = re.compile(r"^(.{20}) .* ([+-][\d.]+) +[\d.]+ +([\d.]+)$", re.MULTILINE)
    rows = {name.strip(): (float(loss), float(n)) for name, loss, n in row.findall(done.stdout)}
    assert rows["no attention"][0] > 0.03
    assert rows["learning rate 0.01"] == rows["unchanged"]
    assert rows["unchanged"][1] < 3
    assert "it should be 8 or more" in done.stdout
    path.write_text(text.replace("my_rate = 0.01", "my_rate = 0.003"))
    again = ok(microgpt("course", "check", "14"))
    assert "14_experiments is right" in again.stdout
    assert "training: no attention" not in again.stderr


def test_finishing_the_course_prints_what_to_read_next(microgpt, place: Path) -> None:
    progress = place / "progress.json"
    done = {}
    for name in exercises.names():
        solve(place, name)
        done[name] = hashlib.sha256(exercises.solution(name).encode()).hexdigest()
    done["a\nb"] = ""
    progress.write_text(json.dumps({"done": done}))
    assert "\nNext: docs/change.md" in ok(microgpt("course", "check", "1")).stdout


def test_suggested_commands_include_uv_run_and_the_directory(microgpt, tmp_path: Path) -> None:
    def last_line(*words: str, **env: str) -> str:
        done = microgpt("course", *words, **env)
        return (done.stderr or done.stdout).splitlines()[-1]

    uv = {"UV_RUN_RECURSION_DEPTH": "1"}
    check = "uv run microgpt course check --directory 'my course'"
    assert last_line("start", "my course", **uv).endswith(f"run: {check}")
    there = ("--directory", "my course")
    assert last_line("check", *there, **uv).endswith(check.replace("check", "hint 1"))
    for _ in exercises.hints(FIRST):
        shown = last_line("hint", *there, **uv)
    assert shown.endswith(check.replace("check", "show 1"))
    assert last_line("check", **uv).endswith("start one with: uv run microgpt course start")


def test_course_names_each_invalid_argument_file_or_value(microgpt, place: Path) -> None:
    assert "no exercise '15'; use a number" in refused(microgpt("course", "check", "15"))
    assert "contains no course" in refused(microgpt("course", "check", "--directory", "none"))
    place.joinpath(f"{FIRST}.py").unlink()
    assert f"course/{FIRST}.py does not exist; put" in refused(microgpt("course", "check", "1"))
    path = place / f"{exercises.EXPERIMENTS}.py"
    text = exercises.solution(exercises.EXPERIMENTS)
    path.write_text(text.replace('"no attention": None', '"no attention": "a bit"'))
    done = microgpt("course", "check", "14")
    assert done.returncode == 1
    assert "the prediction of 'no attention' is 'a bit'" in done.stdout
    place.joinpath("progress.json").write_text('{"done": 3}')
    assert "progress.json is damaged (done: " in refused(microgpt("course", "hint"))
    place.joinpath("progress.json").write_bytes(b" " * 2**21)
    assert "progress.json: larger than 1,048,576 bytes" in refused(microgpt("course", "hint"))


SCHEDULE = "def learning_rate(step, steps, lr, warmup=0):\n"
ENDINGS = {
    "return rate": "line 2: NameError: name 'rate' is not defined, in learning_rate.0, steps=10",
    "return (": "11_schedule.py, line 2: '.' was never closed",
    "raise SystemExit": "line 2: the file ends Python; remove the call to exit",
    "import os; os._exit(0)": "11_schedule.py: the file ended Python before the check was complete",
    "return learning_rate(step, steps, lr)": "line 2: a function calls itself without an end",
    "return None": "steps=10, lr=0.02. is None; .* Is `return` missing?",
    "return [0] * 10**10": "line 2: more than 2 GB of memory",
}


@pytest.mark.parametrize("body", ENDINGS)
def test_each_fault_in_a_learners_file_is_explained(tmp_path: Path, body: str) -> None:
    path = tmp_path / "11_schedule.py"
    path.write_text(f"{SCHEDULE}    {body}\n")
    assert re.search(ENDINGS[body], check_file("11_schedule", path).wrong)


def test_long_output_of_a_file_is_cut_without_ending_the_check(tmp_path: Path) -> None:
    path = tmp_path / "11_schedule.py"
    path.write_text("for i in range(100_000):\n    print('line', i)\n")
    outcome = check_file("11_schedule", path)
    printed = [line for label, line in outcome.shown if label == "printed"]
    assert [printed[0], len(printed), printed[-1]] == ["line 0", 40, "..."]
    assert "no `learning_rate` in this file" in outcome.wrong


@pytest.mark.parametrize("line", ['{"__class__": 5}', '{"right": 5}', "5", "{"])
def test_output_of_a_learners_file_is_not_read_as_a_result(tmp_path: Path, line: str) -> None:
    path = tmp_path / "11_schedule.py"
    path.write_text(f"import os\nos.write(1, {line.encode()!r})\nos._exit(0)\n")
    problem = "11_schedule.py: the file ended Python before the check was complete"
    outcome = check_file("11_schedule", path)
    assert (outcome.wrong, outcome.shown) == (problem, [])


@pytest.mark.slow
def test_an_endless_loop_is_stopped_and_its_line_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "11_schedule.py"
    path.write_text(f"{SCHEDULE}    while True:\n        pass\n")
    problem = check_file("11_schedule", path).wrong
    assert problem.startswith("11_schedule.py, line ")
    assert problem.endswith("still running after 5 seconds; is there a loop that does not end?")


def test_the_first_wrong_or_missing_loss_is_reported_by_step(tmp_path: Path) -> None:
    path = tmp_path / "13_karpathy.py"
    path.write_text("print('step 1 loss 3.3660')\nprint('step 2 loss 3.4000')\n")
    problem = check_file(exercises.WHOLE, path).wrong
    assert problem.startswith("the loss of step 2 is 3.4; it should be 3.4243. The first")
    path.write_text("print('step 1 loss 3.3660', end='\\r')\n")
    problem = check_file(exercises.WHOLE, path).wrong
    assert problem == "the program ended before it printed the loss of step 2"


@pytest.mark.slow
def test_the_solution_of_exercise_13_prints_100_correct_losses(tmp_path: Path) -> None:
    place = 'Path(__file__).parents[1] / "data" / "names.txt"'
    source = exercises.solution(exercises.WHOLE)
    assert place in source
    path = tmp_path / "13_karpathy.py"
    path.write_text(source.replace(place, 'Path(__file__).with_name("names.txt")'))
    (tmp_path / "names.txt").write_bytes(bundled("names.txt").read_bytes())
    outcome = check_file(exercises.WHOLE, path)
    assert (outcome.wrong, outcome.shown[-1]) == ("", ("right", "the loss of step 100"))


def test_replacing_the_builtin_abs_does_not_make_a_wrong_file_pass(tmp_path: Path) -> None:
    path = tmp_path / "02_value.py"
    source = exercises.solution("02_value").replace("self.data * other.data", "1.0")
    path.write_text(f"import builtins\nbuiltins.abs = lambda x: 0.0\n{source}")
    assert "x * y is Value(1.0); it should be Value(6.0)." in check_file("02_value", path).wrong


def test_the_docs_page_shows_the_experiments_of_the_last_exercise() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "change.md").read_text(encoding="utf-8")
    hole = exercises.HOLE.search(exercises.solution(exercises.EXPERIMENTS))
    assert hole[3].strip() in page
