import numpy as np
import pytest

from microgpt.config import TrainConfig
from microgpt.schedule import learning_rate
from microgpt_engine.training.trainer import learning_rates


def test_the_learning_rate_rises_and_then_falls() -> None:
    rates = [learning_rate(step, lr=1.0, steps=10, warmup_steps=4) for step in range(5)]
    assert rates == pytest.approx([0.25, 0.5 * 0.9, 0.75 * 0.8, 0.7, 0.6])


@pytest.mark.parametrize("warmup_steps", [0, 4, 30])
def test_both_engines_use_the_same_learning_rates(warmup_steps) -> None:
    config = TrainConfig(steps=20, lr=0.007, warmup_steps=warmup_steps)
    steps = np.arange(20)
    assert learning_rates(config, steps).tolist() == [config.lr_at(step) for step in range(20)]
