import math
from typing import get_args
from unittest.mock import Mock

import pytest

from microgpt import InferenceGpt, TrainConfig, Value
from microgpt.config import Architecture
from microgpt.errors import ConfigError, PromptError
from microgpt.training import reference_training
from microgpt_cli.verify.checks import run_checks
from microgpt_engine.training import trainer
from microgpt_engine.training.trainer import CompiledEngine

N_ARCHITECTURES = len(get_args(Architecture))


def test_all_checks_pass_and_reproduce_karpathys_run(golden) -> None:
    """The reference engine takes long for the whole run, which test_golden_run.py has."""
    losses: list[float] = []
    checks = list(run_checks(on_event=lambda event: losses.extend(event.losses)))
    assert len(checks) == 1 + (2 + N_ARCHITECTURES) + 2 * 3
    assert all(check.passed for check in checks), checks
    float64, float32 = losses[-2000:-1000], losses[-1000:]
    assert float64 == pytest.approx(golden["losses"], rel=0, abs=1e-9)
    assert float32 == pytest.approx(golden["losses"], rel=0, abs=1e-5)
    *_, run, names = checks
    assert "loss 2.6497" in run.outcome
    assert names.outcome == "20 of 20 agree"


def test_a_wrong_derivative_fails_the_gradient_and_replay_checks(monkeypatch) -> None:
    right = Value.exp

    def wrong(self: Value) -> Value:
        result = right(self)
        result._local_grads = (result.data * 1.001,)
        return result

    monkeypatch.setattr(Value, "exp", wrong)
    checks = {check.name: check.passed for check in run_checks(steps=3)}
    assert checks.pop("names.txt")
    for dtype in ("float64", "float32"):  # it does not use it
        assert checks.pop(f"compiled {dtype}: Karpathy's run, 3 of 1000 steps")
    assert not any(checks.values()), checks


def test_zero_gradients_fail_every_gradient_check(monkeypatch) -> None:
    monkeypatch.setattr(Value, "backward", lambda self: None)
    checks = [check for check in run_checks(steps=2) if "gradients" in check.name]
    assert len(checks) == 3 + N_ARCHITECTURES
    assert not any(check.passed for check in checks)


@pytest.mark.parametrize("error", [OverflowError("too large"), ValueError("no logarithm")])
def test_an_exception_in_a_broken_engine_fails_the_checks(monkeypatch, error) -> None:
    monkeypatch.setattr(Value, "log", Mock(side_effect=error))
    checks = {check.name: check for check in run_checks(steps=2)}
    failed = [check for check in checks.values() if not check.passed]
    assert (
        len(failed) == 4 + N_ARCHITECTURES
    )  # all but names.txt and the two replays of the compiled engine
    assert {check.outcome for check in failed} == {f"{type(error).__name__}: {error}"}


def test_a_loss_of_zero_fails_the_gradient_checks(monkeypatch) -> None:
    monkeypatch.setattr(reference_training, "accumulate", lambda *arguments: (1, 0.0))
    checks = [check for check in run_checks(steps=2, engine="compiled") if "models" in check.name]
    assert [check.passed for check in checks] == [False, False]


def test_an_error_while_sampling_fails_the_check(monkeypatch) -> None:
    problem = PromptError("the logits are not finite")
    monkeypatch.setattr(InferenceGpt, "generate", Mock(side_effect=problem))
    *_, run = run_checks(engine="compiled")
    assert (run.passed, run.outcome) == (False, f"PromptError: {problem}")


def test_nan_gradients_fail_every_check_of_the_engine(monkeypatch) -> None:
    run = CompiledEngine._take_steps

    def broken(self, *args, **options):
        losses, n_read = run(self, *args, **options)
        self._grads.array[0, 0] = math.nan
        return losses, n_read

    monkeypatch.setattr(CompiledEngine, "_take_steps", broken)
    checks = {check.name: check.passed for check in run_checks(steps=30, engine="compiled")}
    assert checks.pop("names.txt")
    assert len(checks) == 4
    assert not any(checks.values()), checks


def test_a_wrong_learning_rate_fails_the_replay_on_both_engines(monkeypatch) -> None:
    monkeypatch.setattr(TrainConfig, "lr_at", lambda self, step: 0.011)
    monkeypatch.setattr(trainer, "learning_rates", lambda config, steps: 0.011 + 0 * steps)
    runs = [check for check in run_checks(steps=3) if "Karpathy's run" in check.name]
    assert len(runs) == 3
    assert not any(check.passed for check in runs)


@pytest.mark.parametrize("steps", [0, 1001])
def test_verify_accepts_only_1_to_1000_steps(steps: int) -> None:
    with pytest.raises(ConfigError, match=f"steps must be from 1 to 1000, got {steps}"):
        next(run_checks(steps=steps))
