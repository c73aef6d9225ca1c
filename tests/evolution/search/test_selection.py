import pytest

from microgpt_evolution.evolve_rust.log import RETESTED
from microgpt_evolution.objectives.scores import NameScores
from microgpt_evolution.population import Evaluation
from microgpt_evolution.search.selection import (
    Candidate,
    best_for,
    best_for_all,
    confirmation_trials,
)


@pytest.fixture
def candidate(make_organism):
    def make(*votes: tuple[float, float, float]) -> Candidate:
        return Candidate(
            make_organism(0.0),
            tuple(
                Evaluation("ok", scores=NameScores(dict(zip(HEADS, scores, strict=True)), 1.0, 1.0))
                for scores in votes
            ),
        )

    return make


HEADS = ("weaver", "mirror", "spark")


def test_the_mean_over_seeds_decides_and_not_the_best(candidate) -> None:
    lucky, steady = candidate((9, 0, 0), (0, 0, 0)), candidate((5, 0, 0), (5, 0, 0))
    assert best_for("weaver", [lucky, steady]) is steady
    assert (lucky.mean("weaver"), steady.mean("weaver")) == (4.5, 5.0)
    assert lucky.describe("weaver") == "4.5000 ± 57.1770 (95%, n=2)"


def test_the_sum_of_ranks_gives_every_head_equal_weight(candidate) -> None:
    # Places: 1 + 3 + 3, 2 + 1 + 2, 3 + 2 + 1; the first would win by the sum of the scores.
    loud, even, late = candidate((99, 1, 1)), candidate((0.9, 3, 2)), candidate((0.8, 2, 3))
    assert best_for_all(HEADS, [loud, even, late]) is even


def test_the_heading_counts_the_new_seeds(make_organism) -> None:
    (organism,) = finalists = [make_organism(1.0)]
    assert f"{len(confirmation_trials(finalists, 7))} Fresh Seeds" in RETESTED
    assert all(trial.seed != organism.seed for trial in confirmation_trials(finalists, 7))


def test_the_first_of_equals_is_taken(candidate) -> None:
    first, second = candidate((1, 2, 3)), candidate((1, 2, 3))
    assert best_for_all(HEADS, [first, second]) is first
    assert best_for("spark", [first, second]) is first
