"""Tests that pauses between the rungs of a training run do not change its result."""

import math
from dataclasses import replace

import numpy as np
import pytest

from microgpt.inference import InferenceGpt
from microgpt.training.loop import DivergedError
from microgpt.training.train import train
from microgpt_evolution.objectives.objective import measure
from microgpt_evolution.objectives.rung_objective import RungObjective
from microgpt_evolution.trial import EVALUATIONS, Contestant


def test_pausing_a_training_run_does_not_change_its_result(objective, small) -> None:
    whole = objective.measure(Contestant(small, 1, until=EVALUATIONS))
    losses, state = (), None
    for until in (2, 5, EVALUATIONS):
        paused = Contestant(small, 1, until=until, losses=tuple(losses), state=state)
        rung = objective.measure(paused)
        assert len(rung.losses) == until - len(losses)
        losses, (_, state) = losses + rung.losses, rung.checkpoint
    assert losses == whole.losses
    assert np.array_equal(state.weights, whole.checkpoint[1].weights)


def test_the_final_loss_of_an_organism_equals_that_of_evaluate(objective, small) -> None:
    result = objective.measure(Contestant(small, 1, until=EVALUATIONS))
    tokens, (model, config, *_) = objective.tokens(), objective.plan(small)
    config = replace(config, seed=1)
    trained = train(objective.sets, model=model, config=config, tokenizer=tokens.tokenizer)
    loss = InferenceGpt(trained).evaluate(objective.sets.validation).loss
    assert result.fitness == pytest.approx(loss, rel=1e-5)  # float32 sums depend on batch sizes


def test_runs_with_fewer_steps_than_evaluations_are_refused(objective, small) -> None:
    assert objective.accepts(small)
    assert not RungObjective(objective.sets, "lines", objective.operations / 1e4).accepts(small)


def test_a_run_that_diverges_at_once_has_no_losses(objective, small, monkeypatch) -> None:
    import microgpt_evolution.objectives.rung_objective as module

    def diverge(*_: object, **__: object) -> None:
        raise DivergedError("at step 3")

    monkeypatch.setattr(module, "train", diverge)
    result = measure(objective, Contestant(small, 1, until=EVALUATIONS))
    assert (result.status, result.fitness, result.losses) == ("diverged", math.inf, ())
    assert result.checkpoint is None


def test_the_vocab_size_of_a_genome_selects_a_subword_tokenizer(small) -> None:
    from microgpt.data.split import split_stream

    text = "the cat sat on the mat and the dog sat on the log. " * 60
    parts = replace(split_stream(text, validation=0.1, test=0.1), test=())
    objective = RungObjective(parts, "stream", 2e8)
    result = objective.measure(Contestant(replace(small, vocab_size=300), 1, until=EVALUATIONS))
    assert objective.tokens(300).per_character < 0.7
    assert result.checkpoint[0].model.vocab_size > 256
