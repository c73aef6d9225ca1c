import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.genome import GENES, LIMITS, PRIMORDIAL, Genome
from microgpt_evolution.strategies import genetic_operators
from microgpt_evolution.strategies.genetic_operators import crossover, fine_tune, grow, mutate

N_DRAWS = 3000  # the standard deviation of a fraction is then at most 0.009


@st.composite
def genomes(draw: st.DrawFn) -> Genome:
    genes = {gene: draw(st.integers(*LIMITS[gene])) for gene in GENES if gene != "lr"}
    shares = [n for n in range(1, 17) if genes["n_embd"] % n == 0]
    genes["n_head"] = draw(st.sampled_from(shares))
    return Genome(**genes, lr=draw(st.floats(*LIMITS["lr"])))


rngs = st.integers(0, 2**32).map(Random)
unary = st.sampled_from([mutate, fine_tune, grow])


def changes(old: Genome, new: Genome) -> set[str]:
    return {gene for gene in GENES if getattr(old, gene) != getattr(new, gene)}


@given(genomes(), genomes(), rngs, unary)
def test_every_evolution_operator_returns_a_valid_genome(a, b, rng, operator) -> None:
    for genome in (operator(a, rng), crossover(a, b, rng)):
        for gene, (least, most) in LIMITS.items():
            assert least <= getattr(genome, gene) <= most


@given(genomes(), rngs)
def test_a_mutation_changes_few_genes_and_keeps_each_in_its_range(genome, rng) -> None:
    mutant = mutate(genome, rng)
    changed = changes(genome, mutant)
    assert len(changed - {"n_head"}) <= 3  # n_head can change, too, to divide n_embd
    allowed = {
        "n_embd": (8, 12, 16, 20, 24, 32),
        "block_size": (8, 12, 16, 24),
        "n_layer": (1, 2, 3, 4),
        "n_head": (1, 2, 4, 8),
        "n_ff_exp": (1, 2, 3, 4),
        "steps": range(100, 2001),
    }
    for gene in changed - {"lr"}:
        assert getattr(mutant, gene) in allowed[gene]
    if "lr" in changed:
        assert 1e-3 <= mutant.lr <= 10**-1.3


@given(genomes(), genomes(), rngs)
def test_a_child_takes_each_gene_from_one_of_its_parents(a, b, rng) -> None:
    child = crossover(a, b, rng)
    for gene in set(GENES) - {"n_head"}:
        assert getattr(child, gene) in (getattr(a, gene), getattr(b, gene))
    if child.n_head not in (a.n_head, b.n_head):  # neither head count divides the width
        assert child.n_head == max(n for n in (1, 2, 4, 8) if child.n_embd % n == 0)


@given(genomes(), rngs)
def test_fine_tuning_changes_only_steps_and_learning_rate_within_bounds(genome, rng) -> None:
    tuned = fine_tune(genome, rng)
    assert tuned.species == genome.species
    if tuned.lr != genome.lr:
        assert 1e-4 <= tuned.lr <= 0.05
        assert tuned.lr in (1e-4, 0.05) or 0.7 <= tuned.lr / genome.lr <= 1.3
    if tuned.steps != genome.steps:
        assert 100 <= tuned.steps <= 3000
        assert tuned.steps in (100, 3000) or abs(tuned.steps - genome.steps) <= 200


@given(genomes(), rngs)
def test_growth_increases_at_most_one_setting_of_the_shape(genome, rng) -> None:
    grown = grow(genome, rng)
    changed = changes(genome, grown)
    assert len(changed) <= 1
    assert changed <= {"n_layer", "n_head", "block_size", "n_ff_exp"}
    for gene in changed:
        assert getattr(grown, gene) > getattr(genome, gene)


def test_growth_chooses_each_of_four_directions_equally_often() -> None:
    rng = Random(1)
    grown = Counter(grow(PRIMORDIAL, rng) for _ in range(N_DRAWS))
    species = {genome.species for genome in grown}
    assert species == {"16-4-2-16-4", "16-8-1-16-4", "16-4-1-24-4", "16-4-1-16-5"}
    assert all(n / N_DRAWS == pytest.approx(0.25, abs=0.04) for n in grown.values())


@pytest.mark.parametrize("space", [genetic_operators.NORMAL, genetic_operators.WIDE])
def test_random_genomes_are_drawn_uniformly_from_a_space(space) -> None:
    rng = Random(1)
    drawn = [genetic_operators.random_genome(rng, space) for _ in range(N_DRAWS)]
    for gene in ("n_embd", "block_size", "n_layer", "n_head", "n_ff_exp", "steps"):
        values = space[gene]
        counts = Counter(getattr(genome, gene) for genome in drawn)
        assert set(counts) == set(values)
        for n in counts.values():
            assert n / N_DRAWS == pytest.approx(1 / len(values), abs=0.04)
    low, high = space["lr"]
    places = [(math.log10(genome.lr) - low) / (high - low) for genome in drawn]
    assert 0 <= min(places) < max(places) <= 1
    assert sum(place < 0.5 for place in places) / N_DRAWS == pytest.approx(0.5, abs=0.04)
