import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from searches import DOCS, PARTS

from microgpt import InferenceGpt, ModelConfig, TrainConfig
from microgpt.data.split import split
from microgpt.errors import DataError
from microgpt.training.train import train
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.organism import Evaluation, Trial

MODEL = ModelConfig(n_embd=8, n_head=2, block_size=4, n_ff_exp=2)
SMALL = Genome(n_embd=8, block_size=4, n_layer=1, n_head=2, n_ff_exp=2, steps=60, lr=0.02)


def test_held_out_fitness_is_the_loss_on_unseen_documents() -> None:
    found = LossObjective.of(PARTS, "held-out").measure(Trial(SMALL, 7))
    config = TrainConfig(steps=60, lr=0.02, seed=7)
    result = train(PARTS.train, model=MODEL, config=config)
    expected = InferenceGpt(result).evaluate(PARTS.validation).loss
    assert (found.status, found.last_loss) == ("ok", result.losses[-1])
    assert found.fitness == found.val_loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("ignore::microgpt.compilation.EngineWarning")
def test_an_organism_is_measured_on_the_reference_engine(
    no_engine,
) -> None:
    found = LossObjective.of(PARTS, "held-out").measure(Trial(SMALL, 7))
    config = TrainConfig(steps=60, lr=0.02, seed=7)
    result = train(PARTS.train, model=MODEL, config=replace(config, engine="reference"))
    assert (found.status, found.last_loss) == ("ok", result.losses[-1])
    assert found.val_loss == InferenceGpt(result).evaluate(PARTS.validation).loss


def test_last_document_fitness_is_the_loss_of_the_last_step() -> None:
    """As in evolve-rust: all of the file, in its order, a document a step if it fits."""
    objective = LossObjective.of(PARTS, "last-doc")
    still, model = replace(SMALL, block_size=16, lr=1e-6), replace(MODEL, block_size=16)
    for steps in (50, 51, 83):
        found = objective.measure(Trial(replace(still, steps=steps), 3))
        config = TrainConfig(steps=1, lr=1e-6, seed=3, shuffle=False)
        last = DOCS[(steps - 1) % len(DOCS)]
        alone = train([last, *DOCS], model=model, config=config, tokenizer=objective.tokenizer)
        assert found.fitness == found.last_loss == pytest.approx(alone.losses[0], abs=1e-3)
        assert found.val_loss is None


def test_threads_and_pickling_do_not_change_the_result() -> None:
    objective = LossObjective.of(PARTS, "held-out")
    seeds = range(8)
    alone = [objective.measure(Trial(SMALL, seed)) for seed in seeds]
    fresh = pickle.loads(pickle.dumps(LossObjective.of(PARTS, "held-out")))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda seed: fresh.measure(Trial(SMALL, seed)), seeds)) == alone
    assert len({evaluation.fitness for evaluation in alone}) == 8


def test_a_search_without_held_out_documents_is_refused() -> None:
    with pytest.raises(DataError, match="needs held-out documents"):
        LossObjective.of(split(DOCS), "held-out")


def test_a_held_out_loss_of_nan_counts_as_a_divergence(monkeypatch) -> None:
    """The last step may go too far, of which the training knows nothing any more."""
    objective = LossObjective.of(PARTS, "held-out")
    monkeypatch.setattr(LossObjective, "held_out_loss", lambda self, result: float("nan"))
    assert objective.measure(Trial(SMALL, 7)) == Evaluation("diverged")
