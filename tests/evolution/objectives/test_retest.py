from dataclasses import replace

import pytest

from microgpt.data.split import split
from microgpt.training.train import DivergedError, train
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives import retest as exam
from microgpt_evolution.objectives.retest import retest

NAMES = [a + b + c + d for a in "aeiou" for b in "mnrl" for c in "aeo" for d in ("", "l", "nn")]
PARTS = split(NAMES, validation=0.2, test=0.2)
GENOME = replace(PRIMORDIAL, steps=50)


def test_a_retest_trains_on_the_training_set_with_each_seed() -> None:
    alone = train(PARTS.train, model=GENOME.model(), config=GENOME.train_config(7))
    found = retest(GENOME, PARTS, [7])
    assert found.last_losses == (alone.losses[-1],)
    assert found.result.weights == alone.weights
    assert found.val_losses != found.test_losses


def test_every_seed_counts_and_the_first_gives_the_model() -> None:
    found = retest(GENOME, PARTS, [7, 8, 9])
    assert found.result.config.seed == 7
    for losses in (found.last_losses, found.val_losses, found.test_losses):
        assert len(set(losses)) == 3
    assert retest(GENOME, PARTS, [8]).test_losses == found.test_losses[1:2]


def test_a_diverging_retest_is_left_out(monkeypatch) -> None:
    result = train(PARTS.train, model=GENOME.model(), config=GENOME.train_config(7))

    def train_or_diverge(docs, *, model, config):
        if config.seed == 7:
            raise DivergedError("at step 1 of 50", result)
        return train(docs, model=model, config=config)

    monkeypatch.setattr(exam, "train", train_or_diverge)
    found = retest(GENOME, PARTS, [7, 8])
    assert found.result.config.seed == 8
    assert len(found.test_losses) == 1
    with pytest.raises(DivergedError):
        retest(GENOME, PARTS, [7])
