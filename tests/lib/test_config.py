import math

import numpy as np
import pytest

from microgpt import ModelConfig, TrainConfig
from microgpt.config import Sampling
from microgpt.errors import ConfigError


def test_the_default_settings_are_those_of_karpathy() -> None:
    model, training = ModelConfig(), TrainConfig()
    assert (model.n_embd, model.n_head, model.n_layer, model.block_size) == (16, 4, 1, 16)
    assert (model.n_ff_exp, model.init_std, model.head_dim) == (4, 0.08, 4)
    assert (training.steps, training.batch_size, training.seed) == (1000, 1, 42)
    assert training.lr_at(0) == 0.01
    assert (training.beta1, training.beta2, training.adam_eps) == (0.85, 0.99, 1e-8)


@pytest.mark.parametrize("name", ["n_embd", "n_head", "n_layer", "block_size", "n_ff_exp"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, 2**31])
def test_model_sizes_must_be_positive_integers(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be"):
        ModelConfig(**{name: value})


@pytest.mark.parametrize(
    "setting",
    [
        {"steps": 0}, {"batch_size": -3}, {"seed": -1}, {"seed": 2**63},
        {"lr": 0.0}, {"lr": math.nan}, {"lr": math.inf},
        {"beta1": 1.0}, {"beta2": -0.1}, {"adam_eps": 0.0},
        {"shuffle": "no"}, {"shuffle": 1}, {"patience": 0}, {"patience": True},
        {"dropout": 1}, {"dropout": -0.1},
        {"weight_decay": -0.1}, {"weight_decay": math.inf}, {"weight_decay": 101, "lr": 0.01},
        {"average_tail": 1.1}, {"average_tail": math.nan},
    ],
)  # fmt: skip
def test_training_settings_outside_their_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        TrainConfig(**setting)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"temperature": math.nan}, "temperature must be >= 0, got nan"),
        ({"temperature": math.inf}, "temperature must be >= 0, got inf"),
        ({"temperature": -0.5}, r"temperature must be >= 0, got -0\.5"),
        ({"top_k": 0}, "top_k must be >= 1, got 0"),
        ({"top_k": 2.5}, r"top_k must be an integer, got 2\.5"),
        ({"top_p": 1.5}, r"top_p must be from 0 to 1, got 1\.5"),
        ({"top_p": math.nan}, "top_p must be from 0 to 1, got nan"),
        ({"min_p": -0.1}, r"min_p must be from 0 to 1, got -0\.1"),
        ({"temperature": True}, "temperature must be >= 0, got True"),
        ({"top_k": True}, "top_k must be an integer, got True"),
        ({"top_p": np.bool_(True)}, "top_p must be from 0 to 1, got .*True"),
    ],
)
def test_sampling_settings_outside_their_range_are_refused(setting, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        Sampling(**setting)
