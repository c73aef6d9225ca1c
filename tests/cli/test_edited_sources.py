from pathlib import Path

import pytest
from commands import ok
from trainings import training_of

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


def test_verify_names_the_edited_sources(edited, microgpt, monkeypatch) -> None:
    monkeypatch.setattr("microgpt_cli.engine_checks.N_MODELS", 2)
    done = microgpt("verify", "--steps", "1")
    assert done.returncode == 1
    assert "FAIL sources: found edits in model.py, which only the reference" in done.stdout
    assert "Traceback" not in done.stderr
