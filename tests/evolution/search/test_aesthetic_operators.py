from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.genome import GENES, PRIMORDIAL, Genome
from microgpt_evolution.search.aesthetic_operators import (
    HEAD_COUNTS,
    MUTATED_WIDTHS,
    mutate,
    random_genome,
)

RNGS = st.integers(0, 2**32).map(Random)


def differing(a: Genome, b: Genome) -> set[str]:
    return {gene for gene in GENES if getattr(a, gene) != getattr(b, gene)}


@given(RNGS)
def test_a_random_genome_lies_in_evolve_rusts_space(rng) -> None:
    genome = random_genome(rng)
    assert genome.n_emb in (16, 24, 32)
    assert genome.n_head in (2, 4)
    assert genome.n_layer in (1, 2, 3)
    assert 0.001 <= genome.lr <= 0.015
    assert (genome.n_ctx, genome.n_ff_exp, genome.steps) == (16, 4, 300)


@given(RNGS, st.integers(0, 30))
def test_a_mutant_changes_one_gene_and_stays_in_range(rng, n) -> None:
    genome = random_genome(rng)
    for _ in range(n):
        mutant = mutate(genome, rng)
        assert len(differing(genome, mutant)) <= 1
        assert mutant.n_emb in MUTATED_WIDTHS
        assert mutant.n_head in HEAD_COUNTS
        assert 1 <= mutant.n_layer <= 4
        assert 1e-4 <= mutant.lr <= 0.1
        assert (mutant.n_ctx, mutant.n_ff_exp, mutant.steps) == (16, 4, 300)
        genome = mutant


def test_all_genes_are_mutated_equally_often() -> None:
    rng = Random(1)
    genome = Genome(n_emb=20, n_ctx=16, n_layer=2, n_head=1, n_ff_exp=4, steps=300, lr=0.01)
    changed = [differing(genome, mutate(genome, rng)) for _ in range(4000)]
    # From one head on, and from a width that is in no list, every draw is a change.
    for gene in ("n_emb", "n_head", "n_layer", "lr"):
        assert 900 <= sum(gene in genes for genes in changed) <= 1100


@given(RNGS, st.integers(1, 128))
def test_a_foreign_width_is_rounded_to_its_heads(rng, n_emb) -> None:
    mutant = mutate(replace(PRIMORDIAL, n_emb=n_emb, n_head=1), rng)
    assert mutant.n_emb % mutant.n_head == 0
