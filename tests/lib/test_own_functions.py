"""Functions of the user: a schedule is followed by both engines, and checked."""

import math
from dataclasses import replace

import pytest

from microgpt import ModelConfig, TrainConfig, train
from microgpt.errors import ConfigError
from microgpt.training.hooks import OnEvent

DOCS = ["anna", "emma", "olivia", "ava"]
SMALL = ModelConfig(n_embd=8, block_size=8)
CONFIG = TrainConfig(steps=30, lr=0.02)


def halved(step: int, *, lr: float, steps: int, warmup_steps: int) -> float:
    return lr if step < steps // 2 else lr / 2


def is_nan(step: int, **settings: float) -> float:
    return math.nan


def fails(step: int, **settings: float) -> float:
    return 1 / 0


def losses(engine: str, **options) -> list[float]:
    config = replace(CONFIG, engine=engine, dtype="float64")
    return train(DOCS, model=SMALL, config=config, **options).losses


def test_both_engines_follow_a_custom_schedule() -> None:
    found = [losses(engine, schedule=halved) for engine in ("compiled", "reference")]
    assert found[0] == pytest.approx(found[1], abs=1e-12)
    assert found[0] != losses("compiled")


def test_a_run_with_a_custom_schedule_can_be_resumed() -> None:
    whole = train(DOCS, model=SMALL, config=CONFIG, schedule=halved)
    options = {"model": SMALL, "config": CONFIG, "schedule": halved}
    part = train(DOCS, **options | {"config": replace(CONFIG, until=10)})
    again = train(DOCS, resume=part.state, **options)
    assert again.weights == whole.weights


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        (lambda step, **settings: 0.5 - step / 30, "returned -0.03.* for step 16"),
        (is_nan, "is_nan returned nan for step 0"),
        (lambda step, **settings: "fast", "must return a number, got 'fast'"),
        (fails, r"raised ZeroDivisionError: division by zero \(test_own_functions.py, line \d+\)"),
        (lambda step: 0.1, r"called as <lambda>\(…, lr=…, steps=…, warmup_steps=…\)"),
    ],
)
def test_an_impossible_schedule_is_refused_before_the_first_step(schedule, problem) -> None:
    steps = []
    with pytest.raises(ConfigError, match=problem):
        train(DOCS, model=SMALL, config=CONFIG, schedule=schedule, hooks=[OnEvent(steps.append)])
    assert not steps
