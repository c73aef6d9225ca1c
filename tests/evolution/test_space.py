from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.budget_plan import space_for
from microgpt_evolution.evolution_errors import GenomeError
from microgpt_evolution.genome import BUDGETED_GENES, VALUES, Space

WHOLE = Space(VALUES)


@given(st.integers(0, 2**32))
def test_mutants_and_crossings_lie_in_the_space(small, seed) -> None:
    rng = Random(seed)
    a, b = (WHOLE.mutate(replace(small, n_embd=16, n_tokens=500), rng) for _ in range(2))
    for genome in (WHOLE.mutate(a, rng), WHOLE.crossover(a, b, rng)):
        for gene, values in VALUES.items():
            assert getattr(genome, gene) in (*values, getattr(a, gene), getattr(b, gene))
    assert (a.block_size, a.vocab_size) == (small.block_size, small.vocab_size)


@given(st.integers(0, 2**32))
def test_a_mutation_moves_each_changed_gene_by_1_or_2_places(small, seed) -> None:
    rng = Random(seed)
    genome = replace(small, **{gene: VALUES[gene][1] for gene in ("n_embd", "n_tokens", "lr")})
    mutant = WHOLE.mutate(genome, rng)
    changed = [gene for gene in VALUES if getattr(mutant, gene) != getattr(genome, gene)]
    assert changed
    for gene in changed:
        places = [VALUES[gene].index(getattr(each, gene)) for each in (genome, mutant)]
        assert abs(places[0] - places[1]) in (1, 2)


def test_a_value_outside_the_space_counts_as_the_closest(small) -> None:
    space = Space({"lr": (0.001, 0.004, 0.008)})
    assert space.coordinates(replace(small, lr=0.0045)) == [0.5]
    assert space.mutate(replace(small, lr=0.0045), Random(1)).lr in (0.001, 0.008)


@pytest.mark.parametrize("values", [{"lr": (0.01,)}, {}, {"n_head": (2, 16)}])
def test_a_space_without_valid_mutants_is_refused(small, values) -> None:
    with pytest.raises(GenomeError, match="the space has no other valid genomes"):
        Space(values).mutate(small, Random(1))


def test_the_space_depends_on_the_documents(small) -> None:
    lines = space_for(replace(small, block_size=16), "lines", 100_000)
    assert lines.values["block_size"] == (8, 16, 32)
    assert "vocab_size" not in lines.values
    subwords = replace(small, vocab_size=512)
    stream = space_for(subwords, "stream", 500_000)
    assert stream.values["block_size"] == (32, 64, 128, 256)
    assert stream.values["vocab_size"] == (0, 384, 512, 768, 1024)
    assert {*BUDGETED_GENES} >= stream.values.keys()
