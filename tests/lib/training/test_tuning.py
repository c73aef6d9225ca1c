import random
from dataclasses import replace

import pytest

from microgpt import ModelConfig, TrainConfig
from microgpt.data.split import split
from microgpt.training.planning import TrainingJob, plan_training
from microgpt.training.train import train, with_tried_rate

RNG = random.Random(0)
DOCS = ["".join(RNG.choices("abcd", k=6)) for _ in range(200)]
PARTS = split(DOCS, validation=0.2, test=0.2)


@pytest.fixture(scope="module")
def job() -> TrainingJob:
    parent = train(["abcd"], model=ModelConfig(n_embd=8, n_layer=1), config=TrainConfig(steps=5))
    return plan_training(PARTS, {"budget": 1e10}, parent=parent)


def with_losses(monkeypatch, *losses: float) -> None:
    """Let the trials have these losses, from the lowest rate to the highest."""
    left = list(losses)
    found = "microgpt.training.train._held_out_loss"
    monkeypatch.setattr(found, lambda job, rate, n, threads: left.pop(0))


@pytest.mark.parametrize(
    ("losses", "share"),
    [((3.0, 2.0, 1.0), 1), ((3.0, 1.0, 2.0), 1 / 4), ((1.0, 1.0, 1.0), 1 / 16)],
)
def test_the_learning_rate_with_the_lowest_loss_is_chosen(monkeypatch, job, losses, share) -> None:
    with_losses(monkeypatch, *losses)
    job = replace(job, choice=job.choice._replace(trial_steps=job.plan.config.steps))
    found = with_tried_rate(job).plan.config
    assert found.lr == pytest.approx(share * job.plan.config.lr, rel=0.03)
    assert replace(found, lr=None) == replace(job.plan.config, lr=None)


def test_a_run_longer_than_its_trials_gets_a_lower_learning_rate(monkeypatch, job) -> None:
    job = replace(job, choice=job.choice._replace(trial_steps=job.plan.config.steps // 8))
    with_losses(monkeypatch, 3.0, 1.09, 1.0)
    assert with_tried_rate(job).plan.config.lr == pytest.approx(job.plan.config.lr / 2, rel=0.05)
    with_losses(monkeypatch, 3.0, 1.11, 1.0)  # much more is to be learned
    assert with_tried_rate(job).plan.config.lr == pytest.approx(job.plan.config.lr, rel=0.05)


def test_trials_of_learning_rates_are_reproducible(job) -> None:
    told: list[str] = []
    for _ in range(2):
        with_tried_rate(job, tell=told.append)
    half = len(told) // 2
    assert told[:half] == told[half:]
    assert told[0].startswith("trying 3 learning rates, ")
    assert told[-1].startswith("learning rate ")


def test_the_held_out_losses_of_trials_are_marked(monkeypatch, job) -> None:
    for contamination, end in (({"validation": 0.5}, " (contamination 50 %)"), ({}, "")):
        told: list[str] = []
        with_losses(monkeypatch, 3.0, 2.0, 1.0)
        plan = replace(job.plan, contamination=contamination)
        with_tried_rate(replace(job, plan=plan), tell=told.append)
        assert told[-1].endswith(f" with {job.plan.config.lr:.2g}{end}")
