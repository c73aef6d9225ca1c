import itertools
from functools import partial

import numpy as np
import pytest
from training_states import StatesEvery

from microgpt import InferenceGpt, ModelConfig, TrainConfig
from microgpt.data.split import split
from microgpt.training.train_state import next_averaged_step

DOCS = [a + b + c + d for a in "aei" for b in "mnr" for c in "aeo" for d in ["", "l", "nn"]]
SMALL = ModelConfig(n_embd=8, n_head=2)


@pytest.fixture
def train(train):
    """`train` with either engine, of a small model."""
    return partial(train, model=SMALL)


def moments(config: TrainConfig) -> list[int]:
    """Return all moments of a training run."""
    found, step = [], 0
    while moment := next_averaged_step(step, config):
        found.append(moment)
        step = moment
    return found


@pytest.mark.parametrize("steps", [1, 99, 101, 199, 1055, 12_345])
def test_at_most_100_steps_are_averaged_including_the_last(steps) -> None:
    found = moments(TrainConfig(steps=steps, average_tail=1))
    assert found[-1] == steps
    assert len(found) <= 100
    assert len({b - a for a, b in itertools.pairwise(found)}) <= 1


def test_the_trained_weights_are_the_mean_over_the_tail(train) -> None:
    kept, config = StatesEvery(1), TrainConfig(steps=10, average_tail=0.3)
    result, states = train(DOCS, config=config, hooks=[kept]), kept.states
    last = [states[-2].weights.tolist(), states[-1].weights.tolist(), result.state.weights.tolist()]
    flat = [w for rows in result.weights.values() for row in rows for w in row]
    assert [state.step for state in states[-2:]] == [8, 9]
    assert flat == pytest.approx(np.mean(last, axis=0).tolist(), rel=1e-5, abs=1e-7)


def test_held_out_losses_are_measured_with_the_averaged_weights(train) -> None:
    parts = split(DOCS, validation=0.2, test=0.2)
    result = train(parts, config=TrainConfig(steps=20, average_tail=0.5))
    model = InferenceGpt(result, engine=result.plan.engine)
    assert result.state.best.step == 20
    assert result.val_loss == pytest.approx(model.evaluate(parts.validation).loss, rel=1e-6)
    assert result.test_loss == pytest.approx(model.evaluate(parts.test).loss, rel=1e-6)
    plain = train(parts, config=TrainConfig(steps=20))
    assert plain.losses == result.losses  # the training itself is the same
    assert plain.val_loss != result.val_loss


def test_an_extended_training_run_averages_only_its_new_tail(train) -> None:
    short = train(DOCS, config=TrainConfig(steps=10, average_tail=0.5))
    for steps, n in ((40, 20), (11, 2)):
        longer = TrainConfig(steps=steps, average_tail=0.5)
        resumed = train(DOCS, config=longer, resume=short.state)
        assert resumed.state.average.n == n
