"""A learning-rate schedule of the user is followed by both engines."""

import math
from dataclasses import replace

import pytest

from microgpt import ModelConfig, TrainConfig, train
from microgpt.errors import ConfigError

DOCS = ["anna", "emma", "olivia", "ava"]
SMALL = ModelConfig(n_embd=8, block_size=8)


class Halved(TrainConfig):
    def lr_at(self, step: int) -> float:
        return self.initial_lr if step < self.steps // 2 else self.initial_lr / 2


CONFIG = Halved(steps=30, lr=0.02)


def losses(engine: str, config: TrainConfig) -> list[float]:
    return train(DOCS, model=SMALL, config=replace(config, engine=engine, dtype="float64")).losses


def test_both_engines_follow_a_custom_schedule() -> None:
    found = [losses(engine, CONFIG) for engine in ("compiled", "reference")]
    assert found[0] == pytest.approx(found[1], abs=1e-12)
    assert found[0] != losses("compiled", TrainConfig(steps=30, lr=0.02))


def test_a_run_with_a_custom_schedule_can_be_resumed() -> None:
    whole = train(DOCS, model=SMALL, config=CONFIG)
    part = train(DOCS, model=SMALL, config=replace(CONFIG, until=10))
    again = train(DOCS, model=SMALL, config=CONFIG, resume=part.state)
    assert again.weights == whole.weights


@pytest.mark.parametrize("rate", [None, "0.01", 1j, 10**400, -0.01, math.nan, [0.01]])
def test_a_custom_rate_must_be_a_number_of_at_least_0(rate) -> None:
    odd = type("Odd", (TrainConfig,), {"lr_at": lambda self, step: rate if step == 7 else 0.01})
    with pytest.raises(ConfigError, match=r"^lr_at\(7\) must be >= 0, got "):
        train(DOCS, model=SMALL, config=odd(steps=9))
