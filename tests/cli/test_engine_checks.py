from unittest.mock import Mock

import pytest
from commands import ok, refused
from json_files import edit
from trainings import training_of

from microgpt import TrainConfig, Value
from microgpt_cli import engine_checks
from microgpt_cli.engine_checks import run_checks
from microgpt_engine import trainer

ENGINES = ("reference float64", "compiled float64", "compiled float32")


@pytest.fixture(autouse=True)
def few(monkeypatch) -> None:
    """Shorten the training runs of the checks to a few steps."""
    monkeypatch.setattr(engine_checks, "REFERENCE_STEPS", 2)


def test_a_wrong_derivative_fails_the_checks_of_the_reference_engine(monkeypatch) -> None:
    right = Value.exp

    def wrong(self: Value) -> Value:
        result = right(self)
        result._local_grads = (result.data * 1.001,)
        return result

    monkeypatch.setattr(Value, "exp", wrong)
    checks = {check.name: check.passed for check in run_checks(steps=3)}
    assert checks.pop("names.txt")
    for dtype in ("float64", "float32"):  # the compiled engine does not use Value.exp, so it passes
        assert checks.pop(f"compiled {dtype}: Karpathy's run, 3 of 1000 steps")
    assert not any(checks.values()), checks


@pytest.mark.parametrize("error", [OverflowError("too large"), ValueError("no logarithm")])
def test_an_exception_in_an_engine_is_reported_as_a_failed_check(monkeypatch, error) -> None:
    monkeypatch.setattr(Value, "log", Mock(side_effect=error))
    checks = {check.name: check for check in run_checks(steps=2)}
    failed = [check for check in checks.values() if not check.passed]
    assert len(failed) == 2  # the check of the gradients and that of a training run
    assert {check.outcome for check in failed} == {f"{type(error).__name__}: {error}"}


def test_a_wrong_learning_rate_fails_the_comparison_with_karpathys_losses(monkeypatch) -> None:
    monkeypatch.setattr(TrainConfig, "lr_at", lambda self, step: 0.011)
    monkeypatch.setattr(trainer, "learning_rates", lambda config, steps: 0.011 + 0 * steps)
    runs = [check for check in run_checks(steps=3) if "Karpathy's run" in check.name]
    assert len(runs) == 3
    assert not any(check.passed for check in runs)


SMALL = ("--data", "names.txt", "--preset", "karpathy", "--steps", "3", "--n-embd", "8")
REASON = (
    "model.py has been edited, and the compiled engine does not implement the change; using the "
    "reference engine"
)


def test_code_edits_are_recorded_and_select_the_reference_engine(edited, microgpt, names) -> None:
    assert REASON in ok(microgpt("train", *SMALL)).stderr
    assert [*training_of(names.parent / "output")["edited_sources"]] == ["model.py"]
    data = ["--data", "names.txt"]
    for command in (["generate", "-n", "2"], ["eval", *data], ["score", "output", *data]):
        notes = ok(microgpt(*command)).stderr
        assert notes.count(REASON) == 1
        assert "trained with edits" not in notes


def test_generate_prints_a_note_on_training_with_edited_sources(microgpt, names) -> None:
    ok(microgpt("train", *SMALL))
    edit(names.parent / "output/meta.json", training={"edited_sources": {"model.py": "a"}})
    assert "note: output was trained with edits" in ok(microgpt("generate", "-n", "1")).stderr


def test_verify_fails_and_names_a_source_file_that_was_edited(edited, microgpt) -> None:
    done = microgpt("verify", "--steps", "1")
    assert done.returncode == 1
    assert "FAIL sources: found edits in model.py, which only the reference" in done.stdout
    assert "Traceback" not in done.stderr


def test_verify_checks_the_reference_and_the_compiled_engine(microgpt) -> None:
    done = ok(microgpt("verify"))
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok   ") for line in lines)
    runs = [line[5:].split(",")[0] for line in lines if "Karpathy's run" in line]
    assert runs == [f"{engine}: Karpathy's run" for engine in ENGINES]
    assert sum("1000 of 1000 steps: loss 2.6497" in line for line in lines) == 2
    assert sum("names: 20 of 20 agree" in line for line in lines) == 2


NOTE = "note: the compiled engine is not installed; using the reference engine"
TRAIN = ("train", "--steps", "2")


def test_commands_use_the_reference_engine_if_no_other_is_installed(no_engine, microgpt) -> None:
    done = ok(microgpt(*TRAIN, "--json"))
    assert done.stderr.count(NOTE) == 1
    for command in (["generate", "-n", "2"], ["info"]):
        assert ok(microgpt(*command)).stdout
    assert ok(microgpt("verify", "--steps", "1")).stdout


def test_requesting_a_missing_engine_or_its_dtype_is_an_error(no_engine, microgpt) -> None:
    for command in ((*TRAIN, "--engine", "compiled"), ("verify", "--engine", "compiled")):
        assert "install microgpt-engine" in refused(microgpt(*command))
    assert "float64" in refused(microgpt(*TRAIN, "--dtype", "float32"))
