from dataclasses import replace

import pytest
from searches import PARTS

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig
from microgpt.data.split import split
from microgpt.errors import DataError
from microgpt.training.train import train
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.organism import Trial

SMALL = Genome(n_embd=8, n_head=2, block_size=4, n_ff_exp=2, steps=60, lr=0.02)


@pytest.mark.parametrize("average_tail", [0.0, 0.5])
def test_a_sweep_point_gives_the_same_losses_as_train(average_tail) -> None:
    objective = SweepObjective.of_sweep(PARTS)
    found = objective.measure(Trial(replace(SMALL, average_tail=average_tail), 7))
    model = ModelConfig(n_embd=8, n_head=2, block_size=4, n_ff_exp=2)
    config = TrainConfig(steps=60, lr=0.02, seed=7, average_tail=average_tail)
    trained = train(PARTS.train, model=model, config=config)
    assert found.status == "ok"
    assert found.last_loss == trained.losses[-1]
    assert found.train_loss == pytest.approx(sum(trained.losses) / 60)
    assert found.val_loss == pytest.approx(
        InferenceGpt(trained).evaluate(PARTS.validation).loss, rel=1e-6
    )
    assert found.samples == tuple(InferenceGpt(trained).generate(3, temperature=1.0, seed=7))
    assert objective.n_params(SMALL) == InferenceGpt(trained).num_params


def test_the_loss_of_a_chat_sweep_point_equals_that_of_evaluate() -> None:
    docs = [(Message("user", f"say {n}"), Message("assistant", f"{n}!")) for n in range(60)]
    parts = split(docs, validation=0.2, test=0.2)
    found = SweepObjective.of_sweep(parts).measure(Trial(Genome(steps=60, n_embd=8, lr=0.01), 7))
    model, config = ModelConfig(n_embd=8), TrainConfig(steps=60, seed=7)
    trained = train(parts.train, model=model, config=config)
    expected = InferenceGpt(trained).evaluate(parts.validation).loss
    assert found.val_loss == pytest.approx(expected, rel=1e-6)
    assert found.samples == ()


def test_held_out_conversations_without_a_reply_are_refused() -> None:
    docs = [(Message("user", f"say {n}"),) for n in range(60)]
    with pytest.raises(DataError, match="the held-out conversations have no replies"):
        SweepObjective.of_sweep(split(docs, validation=0.2, test=0.2))


def test_two_documents_per_step_take_twice_as_many_operations() -> None:
    objective = SweepObjective.of_sweep(PARTS)
    twice = Genome(n_embd=8, n_head=2, block_size=4, n_ff_exp=2, steps=60, batch_size=2)
    assert objective.flops(Trial(twice, 7)) == pytest.approx(
        2 * objective.flops(Trial(SMALL, 7)), rel=0.01
    )


def test_a_diverging_training_run_has_no_loss() -> None:
    wild = Genome(n_embd=8, n_head=2, lr=1e30, steps=100)
    found = SweepObjective.of_sweep(PARTS).measure(Trial(wild, 1))
    assert (found.status, found.val_loss) == ("diverged", None)
    assert found.reason == "the loss was not a finite number"


def test_a_measurement_without_enough_memory_is_refused(monkeypatch) -> None:
    objective = SweepObjective.of_sweep(PARTS)
    monkeypatch.setattr("microgpt.resource_limits.free_bytes", lambda: 2**20)
    found = objective.measure(Trial(Genome(n_embd=512, n_head=1), 1))
    assert found.status == "refused"
    assert "1,048,576 are free" in found.reason
