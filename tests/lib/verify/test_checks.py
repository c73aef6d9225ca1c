import math

import pytest

from microgpt import TrainConfig, Value
from microgpt.engine.training import trainer
from microgpt.engine.training.trainer import CompiledEngine
from microgpt.errors import ConfigError
from microgpt.verify.checks import run_checks


def test_all_checks_pass_and_replay_karpathys_run(golden) -> None:
    """The reference engine takes long for the whole run, which test_golden_run.py has."""
    losses: list[float] = []
    checks = list(run_checks(on_event=lambda event: losses.extend(event.losses)))
    assert len(checks) == 1 + 3 + 2 * 3
    assert all(check.passed for check in checks), checks
    float64, float32 = losses[-2000:-1000], losses[-1000:]
    assert float64 == pytest.approx(golden["losses"], rel=0, abs=1e-9)
    assert float32 == pytest.approx(golden["losses"], rel=0, abs=1e-5)
    *_, run, names = checks
    assert "loss 2.6497" in run.outcome
    assert names.outcome == "20 of 20 agree"


def test_a_wrong_derivative_fails_gradients_and_replay(monkeypatch) -> None:
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


def test_zero_gradients_fail_every_check_of_gradients(monkeypatch) -> None:
    monkeypatch.setattr(Value, "backward", lambda self: None)
    checks = [check for check in run_checks(steps=2) if "gradients" in check.name]
    assert len(checks) == 4
    assert not any(check.passed for check in checks)


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


def test_a_wrong_rate_fails_the_replay_on_both_engines(monkeypatch) -> None:
    monkeypatch.setattr(TrainConfig, "lr_at", lambda self, step: 0.011)
    monkeypatch.setattr(trainer, "learning_rates", lambda config, steps: 0.011 + 0 * steps)
    runs = [check for check in run_checks(steps=3) if "Karpathy's run" in check.name]
    assert len(runs) == 3
    assert not any(check.passed for check in runs)


@pytest.mark.parametrize("steps", [0, 1001])
def test_only_steps_of_karpathys_run_can_be_replayed(steps: int) -> None:
    with pytest.raises(ConfigError, match=f"steps must be from 1 to 1000, got {steps}"):
        next(run_checks(steps=steps))
