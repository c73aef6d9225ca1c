"""Space files: what is read, what is refused, and searches in such a space."""

from dataclasses import replace
from pathlib import Path

import pytest

from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import GENES, PRIMORDIAL
from microgpt_evolution.search.genome_operators import Operators
from microgpt_evolution.search.settings import Search, SearchSettings
from microgpt_evolution.space_file import read_space

SPACE = """
target = 2.2

[values]
n_emb = [8, 16, 32]
lr = [0.01, 0.02]

[rates]
lr = 0

[[first]]
n_emb = 32
steps = 400
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "space.toml").write_text(SPACE)
    return tmp_path / "space.toml"


def test_a_space_file_can_be_read(path) -> None:
    file = read_space(path, GENES)
    assert (file.target, file.rates) == (2.2, {"lr": 0.0})
    assert file.space.values == {"n_emb": (8, 16, 32), "lr": (0.01, 0.02)}
    (first,) = Operators.of(file).first
    assert (first.n_emb, first.steps, first.n_ctx) == (32, 400, PRIMORDIAL.n_ctx)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("values = 3", "values: "),
        ("target = 2", "values: field required"),
        ("[values]\nn_emb = []", "values.n_emb: "),
        ("[values]\nwidth = [1]", "values has the unknown gene 'width'; the genes are n_emb, "),
        ("[values]\nlr = [1]\n[rates]\nx = 1", "rates has the unknown gene 'x'"),
        ("[values]\nlr = [1]\n[rates]\nlr = -1", "rates.lr: "),
        ("[values]\nlr = [1]\n[[first]]\nx = 1", "first has the unknown gene 'x'"),
        ("[values]\nlr = [1]\n[other]\nx = 1", "other: "),
        ("[values\n", "is not valid TOML"),
        ("[values]\nn_emb = [32, 16]", "values.n_emb must be in ascending order, got 32, 16"),
        ("[values]\nlr = [0.1, 0.1]", "values.lr must be in ascending order"),
        ("[values]\nn_emb = [16, 'a']", "values.n_emb must be in ascending order"),
        ("[values]\nlr = ['a', 'a']", "values.lr must be in ascending order"),
    ],
)
def test_invalid_space_files_are_refused(path, text, problem) -> None:
    path.write_text(text)
    with pytest.raises(GenomeError) as error:
        read_space(path, GENES)
    assert problem in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(GenomeError, match="cannot read"):
        read_space(tmp_path / "none.toml", GENES)


@pytest.mark.parametrize("objective", ["loss", "aesthetic", "hydra"])
def test_every_search_stays_within_the_space(path, objective) -> None:
    file = read_space(path, GENES)
    settings = SearchSettings.begin(
        {"objective": objective}, input="names.txt", data_sha256="0" * 64, seed=1, space=file
    )
    search = settings.search()
    assert search.organisms[0].genome.steps == 400
    assert search.organisms[0].origin == "genome"
    assert_in_space(search)
    for organism in search.organisms[1:]:
        if organism.origin == "random":
            assert organism.genome.n_layer == PRIMORDIAL.n_layer


@pytest.mark.parametrize("objective", ["loss", "aesthetic", "hydra"])
def test_a_warm_start_is_moved_into_the_space(path, objective) -> None:
    file = read_space(path, GENES)
    ancestor = replace(PRIMORDIAL, n_emb=20, lr=0.03)
    settings = SearchSettings.begin(
        {"objective": objective},
        input="names.txt",
        data_sha256="0" * 64,
        seed=1,
        space=file,
        warm_start=ancestor,
    )
    assert settings.warm_start == ancestor  # --resume compares it with the given one
    assert_in_space(settings.search())


def assert_in_space(search: Search) -> None:
    """All organisms have values of SPACE."""
    for organism in search.organisms:
        assert organism.genome.n_emb in (8, 16, 32)
        assert organism.genome.lr in (0.01, 0.02)
