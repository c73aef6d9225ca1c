import re
from dataclasses import replace
from pathlib import Path

import pytest

from microgpt.data.split import split
from microgpt.training.loop import DivergedError
from microgpt.training.train import train
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.scores import NameScores
from microgpt_evolution.organism import Evaluation
from microgpt_evolution.search import retest as module
from microgpt_evolution.search.retest import (
    Candidate,
    best_for,
    best_for_all,
    read_retest,
    retest,
)

NAMES = [a + b + c + d for a in "aeiou" for b in "mnrl" for c in "aeo" for d in ("", "l", "nn")]
PARTS = split(NAMES, validation=0.2, test=0.2)
GENOME = replace(PRIMORDIAL, steps=50)


def test_a_retest_trains_each_seed_and_keeps_the_first_model() -> None:
    alone = train(PARTS.train, model=GENOME.model(), config=GENOME.train_config(7))
    found = retest(GENOME, PARTS, [7, 8, 9])
    assert found.last_losses[0] == alone.losses[-1]
    assert found.result.weights == alone.weights
    assert found.val_losses != found.test_losses
    for losses in (found.last_losses, found.val_losses, found.test_losses):
        assert len(set(losses)) == 3
    assert retest(GENOME, PARTS, [8]).test_losses == found.test_losses[1:2]


def test_a_diverging_retest_is_omitted(monkeypatch) -> None:
    result = train(PARTS.train, model=GENOME.model(), config=GENOME.train_config(7))

    def train_or_diverge(docs, *, model, config):
        if config.seed == 7:
            raise DivergedError("at step 1 of 50", result)
        return train(docs, model=model, config=config)

    monkeypatch.setattr(module, "train", train_or_diverge)
    found = retest(GENOME, PARTS, [7, 8])
    assert found.result.config.seed == 8
    assert len(found.test_losses) == 1
    with pytest.raises(DivergedError):
        retest(GENOME, PARTS, [7])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"id": 3}', "id: input should be a valid string"),
        ('{"version": 1}', "version: input should be 2"),
        ('{"last_losses": [2.0, NaN]}', "last_losses[1]: "),
    ],
)
def test_a_damaged_retest_file_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "exam.json").write_text(content)
    with pytest.raises(RunError, match=rf"exam\.json: {re.escape(problem)}"):
        read_retest(tmp_path)


@pytest.fixture
def candidate(make_organism):
    def make(*votes: tuple[float, float, float]) -> Candidate:
        scores = (NameScores(dict(zip(HEADS, vote, strict=True)), 1.0, 1.0) for vote in votes)
        evaluations = tuple(Evaluation("ok", scores=each) for each in scores)
        return Candidate(make_organism(0.0), evaluations)

    return make


HEADS = ("weaver", "mirror", "spark")


def test_a_retest_ranks_by_the_mean_over_seeds(candidate) -> None:
    lucky, steady = candidate((9, 0, 0), (0, 0, 0)), candidate((5, 0, 0), (5, 0, 0))
    assert best_for("weaver", [lucky, steady]) is steady
    assert (lucky.mean("weaver"), steady.mean("weaver")) == (4.5, 5.0)
    assert lucky.describe("weaver") == "4.5000 ± 57.1770 (95%, n=2)"


def test_the_sum_of_ranks_gives_every_head_equal_weight(candidate) -> None:
    # Places: 1 + 3 + 3, 2 + 1 + 2, 3 + 2 + 1; the first would win by the sum of the scores.
    loud, even, late = candidate((99, 1, 1)), candidate((0.9, 3, 2)), candidate((0.8, 2, 3))
    assert best_for_all(HEADS, [loud, even, late]) is even
