from pathlib import Path

import pytest
from commands import ok, refused
from trainings import training_of

from microgpt.edited_sources import find_edited_sources

SMALL = ("--data", "names.txt", "--preset", "karpathy", "--steps", "3", "--n-embd", "8")
REASON = (
    "model.py has been edited, and the compiled engine does not implement the change; using the "
    "reference engine"
)


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("anna\nemma\nolivia\n" * 5)
    return path


def test_commands_use_the_reference_engine_if_sources_are_edited(edited, microgpt, names) -> None:
    assert REASON in ok(microgpt("train", *SMALL)).stderr
    assert [*training_of(names.parent / "output")["edited_sources"]] == ["model.py"]
    data = ["--data", "names.txt"]
    for command in (["generate", "-n", "2"], ["eval", *data], ["score", "output", *data]):
        assert ok(microgpt(*command)).stderr.count(REASON) == 1
    assert REASON in ok(microgpt("chat", "hello")).stderr  # with the demo model


def test_train_refuses_a_slow_fallback_to_the_reference_engine(edited, microgpt, names) -> None:
    error = refused(microgpt("train", "--data", "names.txt", "--steps", "1000000"))
    assert error.startswith("the reference engine would take about ")
    assert error.endswith("; reduce the amount of work, or undo the edit")
    assert not (names.parent / "output").exists()


def test_verify_names_the_edited_sources(edited, microgpt) -> None:
    done = microgpt("verify", "--steps", "1")
    assert done.returncode == 1
    assert (
        "FAIL sources: found edits in model.py, which only the reference engine has" in done.stdout
    )
    assert "Traceback" not in done.stderr


def test_generate_says_that_a_model_came_from_edited_sources(sources, microgpt, names) -> None:
    code = (sources / "model.py").read_text(encoding="utf-8")
    (sources / "model.py").write_text(f"{code}\nEDIT = 1\n")
    ok(microgpt("train", *SMALL))
    (sources / "model.py").write_text(code)
    find_edited_sources.cache_clear()
    note = "note: output was trained with an edited reference engine that differs from this one"
    assert note in ok(microgpt("generate", "-n", "1")).stderr
    note = "found edits in model.py since this run began; the result matches neither version"
    assert note in ok(microgpt("train", "--resume", "output", "--steps", "4")).stderr
