import hashlib
import json
import re
from pathlib import Path

import pytest
from commands import ok, refused

from microgpt_course import exercises

FIRST = "01_tokenizer"


@pytest.fixture
def place(microgpt, tmp_path: Path) -> Path:
    ok(microgpt("course", "start"))
    return tmp_path / "course"


def solve(place: Path, name: str) -> None:
    place.joinpath(f"{name}.py").write_text(exercises.solution(name))


def test_a_new_directory_has_all_exercises(microgpt, tmp_path: Path) -> None:
    done = ok(microgpt("course", "start", "mine"))
    assert done.stdout.splitlines()[0] == "Wrote 14 exercises to mine/"
    names = {f"{name}.py" for name in exercises.names()}
    found = {path.name for path in (tmp_path / "mine").iterdir()}
    assert found == names | {"names.txt", "progress.json"}
    command = done.stdout.rpartition(": microgpt ")[2].split()
    assert "still there; replace it" in microgpt(*command).stdout  # it names the directory


def test_a_directory_that_is_not_empty_is_not_overwritten(microgpt, place: Path) -> None:
    solve(place, FIRST)
    assert "is not empty; use another" in refused(microgpt("course", "start"))
    assert place.joinpath(f"{FIRST}.py").read_text() == exercises.solution(FIRST)


def test_a_right_exercise_leads_to_the_next(microgpt, place: Path) -> None:
    done = microgpt("course", "check")
    problem = (
        f"{FIRST}.py, line 19: `raise NotImplementedError` is still there; replace it by your code"
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


def test_an_exercise_that_was_changed_is_checked_again(microgpt, place: Path) -> None:
    solve(place, FIRST)
    ok(microgpt("course", "check"))
    place.joinpath(f"{FIRST}.py").write_text("pass\n")
    assert "no `Tokenizer` in this file" in microgpt("course", "check").stdout


def test_hints_become_clearer_and_are_counted(microgpt, place: Path) -> None:
    found = exercises.hints("03_backward")
    for n in (1, 2, 3, 3):
        text = f"03_backward, hint {n} of 3: {found[n - 1]}\n"
        assert ok(microgpt("course", "hint", "3")).stdout == text
    assert json.loads(place.joinpath("progress.json").read_text())["hints"] == {"03_backward": 3}


def test_show_prints_a_solution(microgpt, place: Path) -> None:
    shown = ok(microgpt("course", "show", "backward")).stdout
    assert shown == exercises.solution("03_backward") + "\n"
    page = Path(__file__).parents[2] / "examples" / "karpathy.py"
    assert ok(microgpt("course", "show", "13")).stdout == page.read_text() + "\n"


@pytest.mark.slow
def test_the_last_exercise_ends_with_dead_units_and_their_cure(microgpt, place: Path) -> None:
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


def test_the_end_says_what_comes_next(microgpt, place: Path) -> None:
    progress = place / "progress.json"
    done = {}
    for name in exercises.names():
        solve(place, name)
        done[name] = hashlib.sha256(exercises.solution(name).encode()).hexdigest()
    progress.write_text(json.dumps({"done": done}))
    assert "All fourteen are done" in ok(microgpt("course", "check", "1")).stdout


def test_commands_are_printed_as_the_learner_types_them(microgpt, tmp_path: Path) -> None:
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


def test_course_refuses_bad_input_in_one_line(microgpt, place: Path) -> None:
    assert "no exercise '15'; use a number" in refused(microgpt("course", "check", "15"))
    problem = refused(microgpt("course", "check", "--directory", "none"))
    assert "is not a directory of the course" in problem
    place.joinpath(f"{FIRST}.py").unlink()
    assert f"course/{FIRST}.py does not exist; put" in refused(microgpt("course", "check", "1"))
    path = place / f"{exercises.EXPERIMENTS}.py"
    text = exercises.solution(exercises.EXPERIMENTS)
    path.write_text(text.replace('"no attention": None', '"no attention": "a bit"'))
    done = microgpt("course", "check", "14")
    assert (done.returncode, "the prediction of 'no attention' is 'a bit'" in done.stdout) == (
        1,
        True,
    )
    place.joinpath("progress.json").write_text('{"done": 3}')
    assert "progress.json is damaged (done: " in refused(microgpt("course", "hint"))
    place.joinpath("progress.json").write_bytes(b" " * 2**21)
    assert "progress.json: larger than 1,048,576 bytes" in refused(microgpt("course", "hint"))
