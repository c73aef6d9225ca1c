import math
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.genome import GENES, PRIMORDIAL, Genome
from microgpt_evolution.strategies.hydra import (
    HEAD_COUNTS,
    MUTATED_WIDTHS,
    AestheticPopulation,
    mutate,
    random_genome,
)
from microgpt_evolution.trial import Evaluation, training_seed

SIZES = st.integers(1, 14)
SEEDS = st.integers(0, 2**32)
RNGS = SEEDS.map(Random)


def differing(a: Genome, b: Genome) -> set[str]:
    return {gene for gene in GENES if getattr(a, gene) != getattr(b, gene)}


@given(RNGS, st.integers(0, 30))
def test_genomes_and_mutants_lie_in_the_space_of_evolve_rust(rng, n) -> None:
    genome = random_genome(rng)
    assert genome.n_embd in (16, 24, 32)
    assert genome.n_head in (2, 4)
    assert genome.n_layer in (1, 2, 3)
    assert 0.001 <= genome.lr <= 0.015
    assert (genome.block_size, genome.n_ff_exp, genome.steps) == (16, 4, 300)
    for _ in range(n):
        mutant = mutate(genome, rng)
        assert len(differing(genome, mutant)) <= 1
        assert mutant.n_embd in MUTATED_WIDTHS
        assert mutant.n_head in HEAD_COUNTS
        assert 1 <= mutant.n_layer <= 4
        assert 1e-4 <= mutant.lr <= 0.1
        assert (mutant.block_size, mutant.n_ff_exp, mutant.steps) == (16, 4, 300)
        genome = mutant


@given(RNGS, st.integers(1, 128))
def test_the_width_of_a_mutant_is_divisible_by_its_heads(rng, n_embd) -> None:
    mutant = mutate(replace(PRIMORDIAL, n_embd=n_embd, n_head=1), rng)
    assert mutant.n_embd % mutant.n_head == 0


def make(size: int, seed: int = 0, **options) -> AestheticPopulation:
    return AestheticPopulation(measure="judge", size=size, seed=42, rng=Random(seed), **options)


def said(score: float | None) -> Evaluation:
    """Return an evaluation with a score; None stands for a crash."""
    if score is None:
        return Evaluation("crashed")
    return Evaluation("ok", scores={"judge": score, "mirror": 0.0})


@given(SIZES, SEEDS)
def test_a_population_keeps_its_size_and_its_best_two(size, seed) -> None:
    rng = Random(seed)
    population, best = make(size, seed), math.inf
    for generation in range(1, 6):
        assert [o.place[1] for o in population.organisms] == list(range(1, size + 1))
        assert {o.generation for o in population.organisms} == {generation}
        scores = (None if rng.random() < 0.2 else rng.uniform(-9, 7) for _ in population.ask())
        ranked = population.tell([said(score) for score in scores])
        assert ranked[0].fitness <= best
        best = ranked[0].fitness
        elites = [o for o in ranked[:2] if o.has_finished]
        population.breed()
        for elite, kept in zip(elites, population.organisms, strict=False):
            assert kept.origin == "elite"
            assert (kept.genome, kept.seed, kept.evaluation) == (
                elite.genome, elite.seed, elite.evaluation,
            )  # fmt: skip
        for born in population.organisms[len(elites) :]:
            assert born.origin == ("mutant" if elites else "random")
            assert set(born.parents) <= {elite.id for elite in elites}
            assert born.seed == training_seed(42, generation + 1, born.place[1])


def test_the_organism_with_the_highest_score_ranks_first() -> None:
    population = make(4)
    ranked = population.tell([said(-1.0), said(0.0), said(None), said(-100.0)])
    assert [-o.fitness for o in ranked] == [0.0, 1.0 * -1, -100.0, -math.inf]
    population.breed()
    assert len(population.ask()) == 2  # evolve-rust measures an elite of 0 again
