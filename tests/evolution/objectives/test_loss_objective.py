import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
from searches import DOCS, PARTS

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig, step_operations
from microgpt.data.split import split
from microgpt.errors import DataError
from microgpt.training.train import train
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.objectives.objective import measure
from microgpt_evolution.trial import Evaluation, Trial

MODEL = ModelConfig(n_embd=8, n_head=2, block_size=4, n_ff_exp=2)
SMALL = Genome(n_embd=8, block_size=4, n_layer=1, n_head=2, n_ff_exp=2, steps=60, lr=0.02)
NOTHING = "no documents to evaluate, .* have no assistant replies"
CHATS = [(Message("user", f"say {n}"), Message("assistant", f"{n}!")) for n in range(60)]


def test_a_trial_gives_the_same_losses_samples_and_size_as_train() -> None:
    objective = LossObjective(PARTS, n_samples=3, measures_test=True)
    found = objective.measure(Trial(SMALL, 7))
    trained = train(PARTS.train, model=MODEL, config=TrainConfig(steps=60, lr=0.02, seed=7))
    model = InferenceGpt(trained)
    assert (found.status, found.last_loss) == ("ok", trained.losses[-1])
    expected = model.evaluate(PARTS.validation).loss
    assert found.fitness == found.val_loss == pytest.approx(expected, rel=1e-6)
    assert found.test_loss == model.evaluate(PARTS.test).loss
    assert found.samples == tuple(model.generate(3, temperature=1.0, seed=7))
    assert objective.n_params(SMALL) == model.num_params


@pytest.mark.filterwarnings("ignore::microgpt.plugins.EngineWarning")
def test_a_trial_is_measured_by_the_reference_engine_if_no_other_is_installed(no_engine) -> None:
    found = LossObjective(PARTS, "held-out").measure(Trial(SMALL, 7))
    config = TrainConfig(steps=60, lr=0.02, seed=7)
    result = train(PARTS.train, model=MODEL, config=replace(config, engine="reference"))
    assert (found.status, found.last_loss) == ("ok", result.losses[-1])
    assert found.val_loss == InferenceGpt(result).evaluate(PARTS.validation).loss


def test_last_document_fitness_is_the_loss_of_the_last_step() -> None:
    """As in evolve-rust, training uses the whole file in order, one document per step."""
    objective = LossObjective(PARTS, "last-doc")
    still, model = replace(SMALL, block_size=16, lr=1e-6), replace(MODEL, block_size=16)
    for steps in (50, 51, 227):
        found = objective.measure(Trial(replace(still, steps=steps), 3))
        config = TrainConfig(steps=1, lr=1e-6, seed=3, shuffle=False)
        last = DOCS[(steps - 1) % len(DOCS)]
        alone = train([last, *DOCS], model=model, config=config, tokenizer=objective.tokenizer)
        assert found.fitness == found.last_loss == pytest.approx(alone.losses[0], abs=1e-3)
        assert found.val_loss is None


def test_a_pickled_objective_gives_the_same_results_in_threads() -> None:
    objective = LossObjective(PARTS, "held-out")
    seeds = range(8)
    alone = [objective.measure(Trial(SMALL, seed)) for seed in seeds]
    fresh = pickle.loads(pickle.dumps(LossObjective(PARTS, "held-out")))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda seed: fresh.measure(Trial(SMALL, seed)), seeds)) == alone
    assert len({evaluation.fitness for evaluation in alone}) == 8


def test_conversations_have_the_loss_of_evaluate_and_no_samples() -> None:
    parts, genome = split(CHATS, validation=0.2, test=0.2), Genome(steps=60, n_embd=8, lr=0.01)
    found = LossObjective(parts, n_samples=3).measure(Trial(genome, 7))
    trained = train(parts.train, model=ModelConfig(n_embd=8), config=TrainConfig(steps=60, seed=7))
    expected = InferenceGpt(trained).evaluate(parts.validation).loss
    assert found.val_loss == pytest.approx(expected, rel=1e-6)
    assert found.samples == ()


@pytest.mark.parametrize(
    ("docs", "validation", "fitness", "problem"),
    [
        (DOCS, 0, "held-out", NOTHING),
        ([(question,) for question, _ in CHATS], 0.2, "held-out", NOTHING),
        (CHATS, 0.2, None, "conversations have no names to score"),
    ],
)
def test_documents_that_cannot_be_evaluated_are_refused(docs, validation, fitness, problem) -> None:
    with pytest.raises(DataError, match=problem):
        LossObjective(split(docs, validation=validation, test=0.2), fitness, n_samples=3)


def test_the_operations_of_a_trial_are_the_sum_over_its_steps() -> None:
    genome = Genome(n_embd=2, block_size=4, n_layer=1, n_head=1, n_ff_exp=1, steps=50)
    parts = split([a + b for a in "abcd" for b in "abcd"], validation=0.2)
    step = step_operations(genome.model(vocab_size=5), TrainConfig(), length=3.0)
    assert LossObjective(parts).flops(Trial(genome, 1)) == 50 * step


@pytest.mark.compiled
def test_a_diverging_training_run_has_no_loss() -> None:
    found = measure(LossObjective(PARTS), Trial(Genome(n_embd=8, n_head=2, lr=1e30, steps=100), 1))
    assert (found.status, found.val_loss) == ("diverged", None)
    assert found.reason == "the loss was not a finite number"


def test_a_held_out_loss_of_nan_counts_as_a_divergence(monkeypatch) -> None:
    """A divergence in the last step is detected only by the evaluation after it."""
    objective = LossObjective(PARTS, "held-out")
    found = SimpleNamespace(loss=float("nan"))
    monkeypatch.setattr("microgpt.EvaluationSet.evaluate", lambda *_: found)
    assert objective.measure(Trial(SMALL, 7)) == Evaluation("diverged")


def test_a_trial_without_enough_memory_is_refused(monkeypatch) -> None:
    objective = LossObjective(PARTS)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**20))
    found = measure(objective, Trial(Genome(n_embd=512, n_head=1), 1))
    assert found.status == "refused"
    assert "1,048,576 are free" in found.reason
