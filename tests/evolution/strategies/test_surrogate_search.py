import math
from dataclasses import replace
from itertools import product

import pytest

from microgpt_evolution.evolution_errors import GenomeError
from microgpt_evolution.genome import VALUES, Space
from microgpt_evolution.strategies.surrogate_search import SMALLEST, SurrogateSearch
from microgpt_evolution.trial import EVALUATIONS, RUNGS

SPACE = Space(values={gene: VALUES[gene] for gene in ("lr", "dropout", "n_layer")})
COST = 1.0  # cost of one evaluation


def played(small, budget, loss_of, space=SPACE, **options):
    """Run a search; return its training runs by generation, and the final organisms.

    `loss_of` returns the loss of a genome at its k-th evaluation.
    """
    search = SurrogateSearch(space, [small], budget, lambda genome, n: COST * n, seed=1, **options)
    generations, organisms = [], {}
    while runs := search.ask():
        generations.append(runs)
        losses = []
        for organism in runs:
            until = organism.until
            new = [loss_of(organism.genome, k) for k in range(len(organism.losses) + 1, until + 1)]
            new = new[: new.index(math.inf) + 1] if math.inf in new else new
            losses.append(new)
            organisms[organism.id] = replace(organism, losses=(*organism.losses, *new))
        search.tell(losses)
    return generations, organisms


def bowl(genome, k) -> float:
    """Return a loss that is lowest for the middle values of each gene."""
    distances = (
        math.log(genome.lr / 0.004), 4 * (genome.dropout - 0.2), (genome.n_layer - 4) / 4
    )  # fmt: skip
    return 1 + sum(each * each for each in distances) / 10 + 0.3 / k


def test_a_search_begins_with_the_given_genome_and_its_mutants(small) -> None:
    first, *_ = played(small, 40.0, bowl)[0]
    assert len(first) == SMALLEST
    assert first[0].genome == small
    assert [organism.origin for organism in first] == ["given"] + ["mutant"] * (len(first) - 1)
    assert {organism.until for organism in first} == {RUNGS[0]}
    assert len({organism.genome for organism in first}) == len(first)


def test_a_search_finds_a_better_genome_than_random_search(small) -> None:
    _, organisms = played(small, 20 * EVALUATIONS, bowl)
    best = min(organisms.values(), key=lambda organism: organism.loss)
    assert len(best.losses) == EVALUATIONS
    genomes = [
        dict(zip(SPACE.values, genes, strict=True)) for genes in product(*SPACE.values.values())
    ]
    losses = sorted(bowl(type("Genes", (), each), EVALUATIONS) for each in genomes)
    assert best.loss <= losses[len(losses) // 40]  # better than the usual best of 20 random genomes


def test_a_search_uses_most_of_its_budget_and_never_exceeds_it(small) -> None:
    for budget in (3.0, 10.0, 40.0):
        generations, _ = played(small, budget, bowl)
        spent = sum(organism.n_evaluations for runs in generations for organism in runs)
        assert spent <= budget
        assert budget < EVALUATIONS or spent > budget - EVALUATIONS


def test_a_paused_organism_continues_from_its_recorded_losses(small) -> None:
    generations, organisms = played(small, 40.0, bowl)
    runs = [run for generation in generations for run in generation]
    for organism in runs:
        n, until = len(organism.losses), organism.until
        assert n == 0 or n in RUNGS
        assert until == RUNGS[0] if n == 0 else until > n
    later = [organism for organism in runs if organism.losses]
    assert later
    assert all(organisms[each.id].losses[: len(each.losses)] == each.losses for each in later)
    assert len(runs) > len(later)


def test_a_diverged_organism_is_not_trained_further(small) -> None:
    def loss_of(genome, k) -> float:
        return math.inf if genome != small else 1 / k

    generations, organisms = played(small, 40.0, loss_of)
    assert all(math.inf not in each.losses for runs in generations for each in runs)
    assert [each.genome for each in organisms.values() if each.loss < math.inf] == [small]


@pytest.mark.parametrize("loss", [0.0, math.inf])
def test_a_search_continues_if_all_losses_are_equal(small, loss) -> None:
    generations, _ = played(small, 60.0, lambda genome, k: loss)
    assert len(generations) > 2


def test_a_search_trains_only_small_enough_genomes_or_is_refused(small) -> None:
    _, organisms = played(small, 40.0, bowl, accepts=lambda genome: genome.n_layer < 3)
    assert all(each.genome.n_layer < 3 for each in organisms.values())
    with pytest.raises(GenomeError, match="no genome of the space is small enough"):
        played(small, 40.0, bowl, accepts=lambda genome: False)
