import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.strategies.organism import Finalist, Organism, tournament
from microgpt_evolution.trial import Evaluation, training_seed

ORGANISMS = [
    Organism(PRIMORDIAL, 7, "g1-2", evaluation=Evaluation("ok", 2.0)),
    Organism(Genome(), 8, "g2-3", evaluation=Evaluation("ok", 1.0)),
]
FITNESSES = st.floats(allow_nan=True, allow_infinity=True) | st.none()


def test_a_crashed_organism_has_an_infinite_fitness(make_organism) -> None:
    genome = make_organism().genome
    crashed = Organism(genome, 0, "g1-1", evaluation=Evaluation("crashed", fitness=0.5))
    assert not crashed.has_finished
    assert crashed.fitness == math.inf


@given(st.lists(FITNESSES, min_size=1, max_size=12))
def test_finished_organisms_rank_before_unfinished_ones(make_ranked, fitnesses) -> None:
    ranked = make_ranked(fitnesses)
    can_win = any(fitness is not None and math.isfinite(fitness) for fitness in fitnesses)
    assert ranked[0].has_finished == can_win
    values = [organism.fitness for organism in ranked]
    assert values == sorted(values)


def test_tournaments_are_won_as_often_as_theory_predicts(make_ranked) -> None:
    ranked, rng, n = make_ranked([1.0, 2.0, 3.0, 4.0]), Random(1), 4000
    wins = [tournament(ranked, rng).place[1] for _ in range(n)]
    # Of four organisms, the best wins with probability 1 - (3/4)³ = 0.578, the worst with (1/4)³.
    assert wins.count(1) / n == pytest.approx(0.578, abs=0.03)  # four standard deviations
    assert wins.count(4) / n == pytest.approx(0.0156, abs=0.008)


def test_training_seeds_are_derived_from_the_documented_hash() -> None:
    # The seed is the first 8 bytes of `printf '42/1/1/0' | sha256sum`, shifted right by one bit.
    assert training_seed(42, 1, 1) == 0x24CDD29953F50103 >> 1


def test_finalists_and_winner_are_trained_with_fresh_seeds() -> None:
    again = [trial for each in ORGANISMS for trial in each.retests(seed=1)]
    fresh = ORGANISMS[0].fresh_trials(seed=1)
    assert [each.id for each in again] == [
        "g1-2-again1", "g1-2-again2", "g2-3-again1", "g2-3-again2",
    ]  # fmt: skip
    assert [each.genome for each in again[1:3]] == [PRIMORDIAL, Genome()]
    assert [each.id for each in fresh] == [f"g1-2-fresh{i}" for i in (1, 2, 3)]
    assert {each.origin for each in again} == {"confirm"}
    assert {each.origin for each in fresh} == {"fresh"}
    assert fresh[0].seed == 1
    assert len({each.seed for each in (*ORGANISMS, *again, *fresh)}) == 9


def test_the_values_of_a_finalist_leave_out_failures() -> None:
    found = Finalist(ORGANISMS[0], [Evaluation("ok", 3.0), Evaluation("crashed")])
    assert found.values(None) == [2.0, 3.0]
