import math

import pytest

from microgpt_evolution.evolution_errors import GenomeError
from microgpt_evolution.genome import (
    PRIMORDIAL,
    Genome,
)

WINNER = Genome(n_embd=24, block_size=32, n_layer=1, n_head=2, n_ff_exp=3, steps=500, lr=0.0119)


def test_a_genome_describes_itself_as_in_the_evolve_rust_log() -> None:
    genome = Genome(
        n_embd=16, block_size=12, n_layer=3, n_head=1, n_ff_exp=2, steps=1000, lr=0.0298
    )
    assert genome.describe() == "Emb:16  Head:1 Lay:3 Ctx:12 FF:2 LR:0.0298 Steps:1000"
    assert PRIMORDIAL.describe() == "Emb:16  Head:4 Lay:1 Ctx:16 FF:4 LR:0.0050 Steps:200 "


def test_a_genome_yields_a_model_and_a_train_config() -> None:
    model, config = WINNER.model(), WINNER.train_config(7)
    assert (model.n_embd, model.n_head, model.n_layer, model.block_size) == (24, 2, 1, 32)
    assert (model.n_ff_exp, model.vocab_size) == (3, 0)
    assert (config.steps, config.lr, config.batch_size, config.seed) == (500, 0.0119, 1, 7)


def test_the_record_of_a_genome_has_settings_off_the_default() -> None:
    assert WINNER.to_dict() == {
        "n_embd": 24, "block_size": 32, "n_head": 2, "n_ff_exp": 3, "steps": 500, "lr": 0.0119
    }  # fmt: skip
    assert Genome.from_dict(WINNER.to_dict()) == WINNER
    with pytest.raises(GenomeError, match="unknown setting 'width'"):
        Genome.from_dict({"width": 8})


@pytest.mark.parametrize(
    ("gene", "value", "problem"),
    [
        ("n_embd", 16.0, r"n_embd must be an integer, got 16\.0"),
        ("block_size", True, "block_size must be an integer, got True"),
        ("lr", 0.0, r"lr must be a number greater than 0, got 0\.0"),
        ("lr", math.nan, "lr must be a number greater than 0, got nan"),
        ("lr", "0.1", "lr must be a number greater than 0, got '0.1'"),
        ("architecture", 1, "architecture must be .* got 1"),
        ("optimizer", "sgd", "optimizer must be .* got 'sgd'"),
        ("dropout", 1.0, "dropout must be in"),
        ("n_head", 3, r"n_embd \(16\) must be divisible by n_head \(3\)"),
    ],
)
def test_impossible_genes_are_refused(gene: str, value: object, problem: str) -> None:
    with pytest.raises(GenomeError, match=problem):
        Genome.from_dict({gene: value})
