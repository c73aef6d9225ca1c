import math
from dataclasses import replace

import numpy as np
import pytest

from microgpt import ModelConfig, TrainConfig, train
from microgpt.config import Sampling
from microgpt.errors import ConfigError
from microgpt_engine.trainer import learning_rates


@pytest.mark.parametrize("name", ["n_embd", "n_head", "n_layer", "block_size", "n_ff_exp"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, 2**31])
def test_model_sizes_must_be_positive_32_bit_integers(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be"):
        ModelConfig(**{name: value})


@pytest.mark.parametrize(
    ("kind", "limit", "settings"),
    [
        (TrainConfig, ">= 1, got", [{"steps": 0}, {"batch_size": -3}, {"patience": 0}]),
        (TrainConfig, ">= 0, got -1", [{"seed": -1}, {"warmup_steps": -1}]),
        (TrainConfig, "at most", [{"seed": 2**63}]),
        (TrainConfig, "an integer, got True", [{"patience": True}]),
        (TrainConfig, "True or False, got", [{"shuffle": "no"}, {"shuffle": 1}]),
        (TrainConfig, "greater than 0, got", [
            {"lr": 0.0}, {"lr": math.nan}, {"lr": math.inf}, {"lr": 10**5000}, {"adam_eps": 0.0},
        ]),
        (TrainConfig, r"1\)?, got", [
            {"beta1": 1.0}, {"beta2": -0.1}, {"dropout": 1}, {"dropout": -0.1},
        ]),
        (TrainConfig, "", [
            {"weight_decay": -0.1}, {"weight_decay": math.inf},
            {"weight_decay": 101, "lr": 0.01},
            {"weight_decay": 0.5, "lr": 0.5, "optimizer": "muon"},
        ]),
        (Sampling, ">= 0, got", [
            {"temperature": math.nan}, {"temperature": math.inf}, {"temperature": -0.5},
            {"temperature": True},
        ]),
        (Sampling, ">= 1, got 0", [{"top_k": 0}]),
        (Sampling, "an integer, got", [{"top_k": 2.5}, {"top_k": True}]),
        (Sampling, "from 0 to 1, got", [
            {"top_p": 1.5}, {"top_p": math.nan}, {"min_p": -0.1}, {"top_p": np.bool_(True)},
        ]),
    ],
)  # fmt: skip
def test_settings_of_a_wrong_type_or_range_are_refused(kind, limit, settings) -> None:
    for each in settings:
        with pytest.raises(ConfigError, match=f"{next(iter(each))}.*{limit}"):
            kind(**each)


def test_the_learning_rate_rises_and_then_falls() -> None:
    rates = [*map(TrainConfig(lr=1.0, steps=10, warmup_steps=4).lr_at, range(5))]
    assert rates == pytest.approx([0.25, 0.5 * 0.9, 0.75 * 0.8, 0.7, 0.6])


@pytest.mark.parametrize("warmup_steps", [0, 4, 30])
def test_both_engines_have_the_same_learning_rate_at_each_step(warmup_steps) -> None:
    config = TrainConfig(steps=20, lr=0.007, warmup_steps=warmup_steps)
    steps = np.arange(20)
    assert learning_rates(config, steps).tolist() == [config.lr_at(step) for step in range(20)]


DOCS = ["anna", "emma", "olivia", "ava"]
SMALL = ModelConfig(n_embd=8, block_size=8)


class Halved(TrainConfig):
    def lr_at(self, step: int) -> float:
        return self.initial_lr if step < self.steps // 2 else self.initial_lr / 2


CONFIG = Halved(steps=30, lr=0.02)


def losses(engine: str, config: TrainConfig) -> list[float]:
    return train(DOCS, model=SMALL, config=replace(config, engine=engine, dtype="float64")).losses


def test_both_engines_follow_a_custom_learning_rate_schedule() -> None:
    found = [losses(engine, CONFIG) for engine in ("compiled", "reference")]
    assert found[0] == pytest.approx(found[1], abs=1e-12)
    assert found[0] != losses("compiled", TrainConfig(steps=30, lr=0.02))


def test_a_run_with_a_custom_learning_rate_schedule_can_be_resumed() -> None:
    whole = train(DOCS, model=SMALL, config=CONFIG)
    part = train(DOCS, model=SMALL, config=replace(CONFIG, until=10))
    again = train(DOCS, model=SMALL, config=CONFIG, resume=part.state)
    assert again.weights == whole.weights
