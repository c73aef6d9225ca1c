"""Trials after the last generation, without training."""

from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.strategies.finalists import fresh_trials, retests
from microgpt_evolution.strategies.population import Finalist, Organism
from microgpt_evolution.trial import Evaluation

ORGANISMS = [
    Organism(PRIMORDIAL, 7, "g1-2", evaluation=Evaluation("ok", 2.0)),
    Organism(Genome(), 8, "g2-3", evaluation=Evaluation("ok", 1.0)),
]


def test_finalists_and_winner_are_trained_with_other_seeds() -> None:
    again, fresh = retests(ORGANISMS, seed=1), fresh_trials(ORGANISMS[0], seed=1)
    assert [each.id for each in again] == [
        "g1-2-again1", "g1-2-again2", "g2-3-again1", "g2-3-again2",
    ]  # fmt: skip
    assert [each.genome for each in again[1:3]] == [PRIMORDIAL, Genome()]
    assert [each.id for each in fresh] == [f"g1-2-fresh{i}" for i in (1, 2, 3)]
    assert {each.origin for each in again} == {"confirm"}
    assert {each.origin for each in fresh} == {"fresh"}
    assert fresh[0].seed == 1
    assert len({each.seed for each in (*ORGANISMS, *again, *fresh)}) == 9


def test_the_mean_of_a_finalist_leaves_out_failures() -> None:
    found = Finalist.of(ORGANISMS[0], [Evaluation("ok", 3.0), Evaluation("crashed")])
    assert found.values(None) == [2.0, 3.0]
