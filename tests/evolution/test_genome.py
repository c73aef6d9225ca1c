from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.budget_plan import space_for
from microgpt_evolution.evolution_errors import GenomeError
from microgpt_evolution.genome import BUDGETED_GENES, PRIMORDIAL, VALUES, Genome, Space

WINNER = Genome(n_embd=24, block_size=32, n_layer=1, n_head=2, n_ff_exp=3, steps=500, lr=0.0119)


def test_a_genome_describes_itself_as_in_the_evolve_rust_log() -> None:
    genome = Genome(block_size=12, n_layer=3, n_head=1, n_ff_exp=2, steps=1000, lr=0.0298)
    assert genome.describe() == "Emb:16  Head:1 Lay:3 Ctx:12 FF:2 LR:0.0298 Steps:1000"
    assert PRIMORDIAL.describe() == "Emb:16  Head:4 Lay:1 Ctx:16 FF:4 LR:0.0050 Steps:200 "


def test_a_genome_determines_a_model_and_a_train_config() -> None:
    model, config = WINNER.model(), WINNER.train_config(7)
    assert (model.n_embd, model.n_head, model.n_layer, model.block_size) == (24, 2, 1, 32)
    assert (model.n_ff_exp, model.vocab_size) == (3, 0)
    assert (config.steps, config.lr, config.batch_size, config.seed) == (500, 0.0119, 1, 7)


def test_a_genome_is_restored_from_its_non_default_settings() -> None:
    assert WINNER.to_dict() == {
        "n_embd": 24, "block_size": 32, "n_head": 2, "n_ff_exp": 3, "steps": 500, "lr": 0.0119
    }  # fmt: skip
    assert Genome.from_dict(WINNER.to_dict()) == WINNER


@pytest.mark.parametrize(
    ("gene", "value", "problem"),
    [
        ("n_embd", 16.0, r"n_embd must be an integer, got 16\.0"),
        ("lr", 0.0, r"lr must be a number greater than 0, got 0\.0"),
        ("architecture", 1, "architecture must be .* got 1"),
        ("optimizer", "sgd", "optimizer must be .* got 'sgd'"),
        ("width", 8, "unknown setting 'width'"),
        ("n_head", 3, r"n_embd \(16\) must be divisible by n_head \(3\)"),
    ],
)
def test_invalid_genes_are_refused(gene: str, value: object, problem: str) -> None:
    with pytest.raises(GenomeError, match=problem):
        Genome.from_dict({gene: value})


WHOLE = Space(VALUES)


@given(st.integers(0, 2**32))
def test_mutants_and_crosses_take_genes_from_space_or_parents(small, seed) -> None:
    rng = Random(seed)
    a, b = (WHOLE.mutate(replace(small, n_embd=16, n_tokens=500), rng) for _ in range(2))
    for genome in (WHOLE.mutate(a, rng), WHOLE.crossover(a, b, rng)):
        for gene, values in VALUES.items():
            assert getattr(genome, gene) in (*values, getattr(a, gene), getattr(b, gene))
    assert (a.block_size, a.vocab_size) == (small.block_size, small.vocab_size)


@given(st.integers(0, 2**32))
def test_a_mutation_moves_a_gene_by_at_most_two_positions_in_its_values(small, seed) -> None:
    rng = Random(seed)
    genome = replace(small, **{gene: VALUES[gene][2] for gene in ("n_embd", "n_tokens", "lr")})
    mutant = WHOLE.mutate(genome, rng)
    changed = [gene for gene in VALUES if getattr(mutant, gene) != getattr(genome, gene)]
    assert changed
    for gene in changed:
        places = [sorted(VALUES[gene]).index(getattr(each, gene)) for each in (genome, mutant)]
        assert abs(places[0] - places[1]) in (1, 2)


def test_a_value_outside_a_space_counts_as_the_closest_in_it(small) -> None:
    space = Space({"lr": (0.001, 0.004, 0.008)})
    assert space.coordinates(replace(small, lr=0.0045)) == [0.5]
    assert space.mutate(replace(small, lr=0.0045), Random(1)).lr in (0.001, 0.008)


@pytest.mark.parametrize("values", [{"lr": (0.01,)}, {}, {"n_head": (2, 16)}])
def test_a_space_without_valid_mutants_is_refused(small, values) -> None:
    with pytest.raises(GenomeError, match="the space has no other valid genomes"):
        Space(values).mutate(small, Random(1))


def test_the_genes_and_sizes_of_a_space_suit_the_documents(small) -> None:
    lines = space_for(replace(small, block_size=16), "lines", 100_000)
    assert lines.values["block_size"] == (8, 16, 32)
    assert "vocab_size" not in lines.values
    stream = space_for(replace(small, vocab_size=512), "stream", 500_000)
    assert stream.values["block_size"] == (32, 64, 128, 256)
    assert stream.values["vocab_size"] == (0, 384, 512, 768, 1024)
    assert {*BUDGETED_GENES} == stream.values.keys()
