"""Successive halving: which organisms train on, who has offspring, and when the budget ends."""

import math
from random import Random

import pytest

from microgpt_evolution.budgeted.default_space import VALUES
from microgpt_evolution.budgeted.search import (
    N_OFFSPRING,
    RUNGS,
    Breeding,
    Contestant,
    halving_search,
    rank,
)
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.space import Space

SPACE = Space({gene: VALUES[gene] for gene in ("lr", "dropout", "n_layer")})
COST = 1.0  # of an evaluation


def played(small, budget, loss_of, **options):
    """Run a search; return its requests. `loss_of` gives the loss of a genome at an evaluation."""
    search = halving_search(SPACE, [small], budget, lambda genome, n: COST * n, seed=1, **options)
    requests, request = [], next(search, None)
    while request:
        organisms, until = request
        requests.append((list(organisms), until))
        losses = [
            [loss_of(o.genome, k) for k in range(len(o.losses) + 1, until + 1)] for o in organisms
        ]
        try:
            request = search.send(losses)
        except StopIteration:
            break
    return requests


def lowest_lr_wins(genome, k) -> float:
    return genome.lr + genome.dropout + genome.n_layer / 100 + 1 / k


def test_the_better_half_trains_on(small) -> None:
    requests = played(small, 40.0, lowest_lr_wins)
    assert [until for _, until in requests[:3]] == list(RUNGS)
    assert [len(organisms) for organisms, _ in requests[:3]] == [8, 4, 2]
    first, second = requests[0][0], requests[1][0]
    ranked = sorted(first, key=lambda o: lowest_lr_wins(o.genome, RUNGS[0]))
    assert {o.id for o in second} == {o.id for o in ranked[:4]}
    assert first[0].genome == small
    assert first[0].origin == "given"


def test_the_budget_is_never_exceeded_and_nearly_used(small) -> None:
    for budget in (3.0, 10.0, 33.0, 100.0):
        spent = sum(
            until - len(organism.losses)
            for organisms, until in played(small, budget, lowest_lr_wins)
            for organism in organisms
        )
        assert spent <= budget
        assert budget < 8 or spent > budget - 8


def test_later_generations_descend_from_the_best_that_are_complete(small) -> None:
    requests = played(small, 120.0, lowest_lr_wins)
    complete, generations = {}, {}
    for organisms, until in requests:
        for organism in organisms:
            generations.setdefault(organism.generation, []).append(organism)
            if until == RUNGS[-1]:
                complete[organism.id] = organism
    assert len(generations) >= 3
    for organism in generations[2]:
        assert organism.origin in ("mutant", "cross")
        assert set(organism.parents) <= complete.keys()
        assert len(organism.parents) == (2 if organism.origin == "cross" else 1)
    genomes = [o.genome for organisms, until in requests for o in organisms if until == RUNGS[0]]
    assert len(set(genomes)) == len(genomes)


def test_organisms_that_diverge_are_dropped(small) -> None:
    def loss_of(genome, k) -> float:
        return math.inf if genome != small else 1 / k

    requests = played(small, 40.0, loss_of)
    assert [len(organisms) for organisms, _ in requests[:3]] == [8, 1, 1]


def test_refused_genomes_are_not_trained(small) -> None:
    requests = played(small, 40.0, lowest_lr_wins, accepts=lambda genome: genome.n_layer < 3)
    assert all(o.genome.n_layer < 3 for organisms, _ in requests for o in organisms)


def test_a_space_whose_genomes_are_all_refused_is_an_error(small) -> None:
    with pytest.raises(GenomeError, match="no genome of the space is small enough"):
        played(small, 40.0, lowest_lr_wins, accepts=lambda genome: False)


def test_the_same_seed_gives_the_same_organisms(small) -> None:
    a, b = (played(small, 60.0, lowest_lr_wins) for _ in range(2))
    assert a == b


def test_rank_leaves_out_those_without_a_loss(small) -> None:
    breeding = Breeding(SPACE, [small], lambda genome: True, Random(1))
    organisms = [breeding.offspring([], 1, slot, seed=slot) for slot in (1, 2, 3)]
    losses = [(2.0, 1.5), (math.inf,), (1.0, 1.2)]
    told = [
        Contestant(o.id, o.genome, o.origin, o.parents, o.seed, new)
        for o, new in zip(organisms, losses, strict=True)
    ]
    assert [o.loss for o in rank(told)] == [1.0, 1.5]
    assert N_OFFSPRING == 8
