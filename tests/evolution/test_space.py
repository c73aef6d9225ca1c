from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.budgeted.genome import RATES, space_for
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import BUDGETED_GENES, PRIMORDIAL, VALUES
from microgpt_evolution.search.genome_operators import Operators
from microgpt_evolution.search.search_records import SearchSettings
from microgpt_evolution.space import Space, read_space

WHOLE = Space(values=VALUES, rates=RATES)


@given(st.integers(0, 2**32))
def test_random_genomes_and_offspring_lie_in_the_space(small, seed) -> None:
    rng = Random(seed)
    a, b = WHOLE.random(small, rng), WHOLE.random(small, rng)
    for genome in (a, WHOLE.mutate(a, rng), WHOLE.crossover(a, b, rng)):
        assert all(getattr(genome, gene) in values for gene, values in VALUES.items())
    assert (a.block_size, a.vocab_size) == (small.block_size, small.vocab_size)


@given(st.integers(0, 2**32))
def test_a_mutation_moves_each_changed_gene_by_1_or_2_places(small, seed) -> None:
    rng = Random(seed)
    genome = WHOLE.random(small, rng)
    mutant = WHOLE.mutate(genome, rng)
    changed = [gene for gene in VALUES if getattr(mutant, gene) != getattr(genome, gene)]
    assert changed
    for gene in changed:
        places = [VALUES[gene].index(getattr(each, gene)) for each in (genome, mutant)]
        assert abs(places[0] - places[1]) in (1, 2)


def test_the_closest_genome_lies_in_the_space(small) -> None:
    space = Space(values={"lr": (0.001, 0.004), "n_embd": (16, 32), "optimizer": ("muon",)})
    found = space.closest(replace(small, lr=0.0031, n_embd=20))
    assert found == replace(small, lr=0.004, n_embd=16, optimizer="muon")
    assert space.closest(found) == found
    assert Space(values={}).closest(small) == small


def test_the_closest_genome_is_valid_even_if_values_conflict(small) -> None:
    start = replace(small, n_embd=16, n_head=4)
    assert Space(values={"n_embd": (18, 24)}).closest(start).n_embd == 24  # 18 has no four heads
    both = Space(values={"n_embd": (17, 18), "n_head": (4, 6)}).closest(start)
    assert (both.n_embd, both.n_head) == (18, 6)
    with pytest.raises(GenomeError, match="no valid genomes"):
        Space(values={"n_embd": (18,)}).closest(start)
    with pytest.raises(GenomeError, match="no valid genomes"):
        Space(values={"n_embd": ("wide",)}).closest(start)


def test_a_gene_with_a_mutation_rate_of_zero_never_changes(small) -> None:
    space = Space(values={"lr": VALUES["lr"], "dropout": VALUES["dropout"]}, rates={"dropout": 0.0})
    assert all(space.mutate(small, Random(seed)).dropout == 0 for seed in range(20))


def test_a_space_without_valid_genomes_or_mutants_is_refused(small) -> None:
    still = Space(values={"lr": (0.001, 0.002)}, rates={"lr": 0})
    lone = [Space(values=values) for values in ({"lr": (0.01,)}, {}, {"n_head": (2, 16)})]
    for space in (still, *lone):
        with pytest.raises(GenomeError, match="the space has no other valid genomes"):
            space.mutate(small, Random(1))
    with pytest.raises(GenomeError, match="no valid genomes"):
        Space(values={"n_head": (3,)}).random(small, Random(1))


def test_the_default_space_depends_on_the_documents(small) -> None:
    lines = space_for(replace(small, block_size=16), "lines", 100_000)
    assert lines.values["block_size"] == (8, 16, 32)
    assert "vocab_size" not in lines.values
    subwords = replace(small, vocab_size=512)
    stream = space_for(subwords, "stream", 500_000)
    assert stream.values["block_size"] == (32, 64, 128, 256)
    assert stream.values["vocab_size"] == (0, 384, 512, 768, 1024)
    assert {*BUDGETED_GENES} >= stream.values.keys()


FILE = """
target = 2.2

[values]
n_embd = [8, 16, 32]
lr = [0.01, 0.02]

[rates]
lr = 0

[[first]]
n_embd = 32
steps = 400
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "space.toml").write_text(FILE)
    return tmp_path / "space.toml"


def test_a_space_file_can_be_read(path) -> None:
    file = read_space(path, is_budgeted=False)
    assert (file.target, file.rates) == (2.2, {"lr": 0.0})
    assert file.values == {"n_embd": (8, 16, 32), "lr": (0.01, 0.02)}
    (first,) = Operators.of(file).first
    assert (first.n_embd, first.steps, first.block_size) == (32, 400, PRIMORDIAL.block_size)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("values = 3", "values: "),
        ("target = 2", "values: field required"),
        ("[values]\nn_embd = []", "values.n_embd: "),
        ("[values]\nwidth = [1]", "values has the unknown gene 'width'; the genes are n_embd, "),
        ("[values]\nlr = [1]\n[rates]\nx = 1", "rates has the unknown gene 'x'"),
        ("[values]\nlr = [1]\n[rates]\nlr = -1", "rates.lr: "),
        ("[values]\nlr = [1]\n[[first]]\nx = 1", "first has the unknown gene 'x'"),
        ("[values\n", "invalid TOML"),
        ("a = " + "[" * 9999, "invalid TOML"),
        ("x." * 2**15 + "x = 1", "larger than 32,768 bytes"),
        ("[values]\nn_embd = [32, 16]", "values.n_embd must be in ascending order, got 32, 16"),
        ("[values]\nn_embd = [8.5]", "n_embd must be an integer, got 8.5"),
        ("[values]\nn_embd = [500]", "n_embd must be between 1 and 128, got 500"),
        ('[values]\nlr = [0.1, "fast"]', "lr must be a number greater than 0, got 'fast'"),
        ("[values]\nlr = [0.1, 0.1]", "values.lr must be in ascending order"),
    ],
)
def test_invalid_space_files_are_refused(path, text, problem) -> None:
    path.write_text(text)
    with pytest.raises(GenomeError) as error:
        read_space(path, is_budgeted=False)
    assert problem in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("objective", ["loss", "aesthetic", "hydra"])
@pytest.mark.parametrize("warm_start", [None, replace(PRIMORDIAL, n_embd=20, lr=0.03)])
def test_every_search_stays_within_the_space(path, objective, warm_start) -> None:
    facts = {"input": "names.txt", "data_sha256": "0" * 64, "vocab_size": 27, "seed": 1}
    facts["warm_start"] = warm_start
    space = read_space(path, is_budgeted=False)
    settings = SearchSettings.begin({"objective": objective}, **facts, space=space)
    assert settings.warm_start == warm_start  # --resume compares it with the given one
    organisms = settings.search().organisms
    assert organisms[0].origin == "genome"
    assert warm_start or organisms[0].genome.steps == 400
    for organism in organisms:
        assert organism.genome.n_embd in (8, 16, 32)
        assert organism.genome.lr in (0.01, 0.02)
        assert organism.origin != "random" or organism.genome.n_layer == PRIMORDIAL.n_layer
