"""The space of a budgeted search: neighbours, random genomes and crossings."""

from dataclasses import asdict, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.budgeted.default_space import RATES, VALUES, space_for
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.space import Space

WHOLE = Space(VALUES, RATES)


@given(st.integers(0, 2**32))
def test_random_genomes_and_offspring_lie_in_the_space(small, seed) -> None:
    rng = Random(seed)
    a, b = WHOLE.random(small, rng), WHOLE.random(small, rng)
    for genome in (a, WHOLE.mutate(a, rng), WHOLE.crossover(a, b, rng)):
        assert all(getattr(genome, gene) in values for gene, values in VALUES.items())
    assert (a.block_size, a.vocab_size) == (small.block_size, small.vocab_size)


@given(st.integers(0, 2**32))
def test_a_mutant_differs_in_one_or_two_genes(small, seed) -> None:
    rng = Random(seed)
    genome = WHOLE.random(small, rng)
    mutant = WHOLE.mutate(genome, rng)
    changed = [gene for gene in VALUES if getattr(mutant, gene) != getattr(genome, gene)]
    assert changed
    for gene in changed:
        places = [VALUES[gene].index(getattr(each, gene)) for each in (genome, mutant)]
        assert abs(places[0] - places[1]) in (1, 2)


def test_a_value_outside_the_space_moves_near_the_closest(small) -> None:
    space = Space({"lr": (0.001, 0.002, 0.004, 0.008)})
    found = {space.mutate(replace(small, lr=0.0031), Random(seed)).lr for seed in range(50)}
    assert found == {0.001, 0.002, 0.008}  # 0.004 is the closest


def test_the_closest_genome_lies_in_the_space(small) -> None:
    space = Space({"lr": (0.001, 0.004), "n_embd": (16, 32), "optimizer": ("muon",)})
    found = space.closest(replace(small, lr=0.0031, n_embd=20))
    assert found == replace(small, lr=0.004, n_embd=16, optimizer="muon")
    assert space.closest(found) == found
    assert Space({}).closest(small) == small


def test_contradictory_closest_values_are_replaced(small) -> None:
    start = replace(small, n_embd=16, n_head=4)
    assert Space({"n_embd": (18, 24)}).closest(start).n_embd == 24  # 18 has no four heads
    both = Space({"n_embd": (17, 18), "n_head": (4, 6)}).closest(start)
    assert (both.n_embd, both.n_head) == (18, 6)
    with pytest.raises(GenomeError, match="no valid genomes"):
        Space({"n_embd": (18,)}).closest(start)
    with pytest.raises(GenomeError, match="no valid genomes"):
        Space({"n_embd": ("wide",)}).closest(start)


def test_rates_determine_how_often_a_gene_changes(small) -> None:
    space = Space({"lr": VALUES["lr"], "dropout": VALUES["dropout"]}, {"dropout": 0.0})
    assert all(space.mutate(small, Random(seed)).dropout == 0 for seed in range(20))


def test_a_space_of_a_single_genome_is_refused(small) -> None:
    with pytest.raises(GenomeError, match="no other valid genomes"):
        Space({"n_head": (2, 16)}).mutate(replace(small, n_head=2), Random(1))
    with pytest.raises(GenomeError, match="no valid genomes"):
        Space({"n_head": (3,)}).random(small, Random(1))


def test_the_default_space_depends_on_the_documents(small) -> None:
    lines = space_for(replace(small, block_size=16), "lines", 100_000)
    assert lines.values["block_size"] == (8, 16, 32)
    assert "vocab_size" not in lines.values
    subwords = replace(small, vocab_size=512)
    stream = space_for(subwords, "stream", 500_000)
    assert stream.values["block_size"] == (32, 64, 128, 256)
    assert stream.values["vocab_size"] == (None, 384, 512, 768, 1024)
    assert asdict(small).keys() >= stream.values.keys()


@pytest.mark.parametrize(
    "space",
    [Space({"lr": (0.01,)}), Space({}), Space({"lr": (0.001, 0.002)}, {"lr": 0})],
)
def test_a_space_without_mutants_is_an_error(small, space) -> None:
    with pytest.raises(GenomeError, match="the space has no other valid genomes"):
        space.mutate(small, Random(1))


def test_an_unknown_name_counts_as_the_first(small) -> None:
    space = Space({"optimizer": ("muon",), "lr": (0.0001, small.lr)})
    assert small.optimizer == "adamw"
    assert space.coordinates(small) == [0.0, 1.0]
