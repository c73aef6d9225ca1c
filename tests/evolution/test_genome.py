import math
from dataclasses import replace

import pytest

from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import PRIMORDIAL, WHOLE_LIMITS, Genome

WINNER = Genome(n_emb=24, n_ctx=32, n_layer=1, n_head=2, n_ff_exp=3, steps=500, lr=0.0119)


def test_a_genome_describes_itself_as_in_the_evolve_rust_log() -> None:
    genome = Genome(n_emb=16, n_ctx=12, n_layer=3, n_head=1, n_ff_exp=2, steps=1000, lr=0.0298)
    assert genome.describe() == "Emb:16  Head:1 Lay:3 Ctx:12 FF:2 LR:0.0298 Steps:1000"
    assert PRIMORDIAL.describe() == "Emb:16  Head:4 Lay:1 Ctx:16 FF:4 LR:0.0050 Steps:200 "


def test_a_genome_yields_a_model_and_a_train_config() -> None:
    model, config = WINNER.model(), WINNER.train_config(7)
    assert (model.n_embd, model.n_head, model.n_layer, model.block_size) == (24, 2, 1, 32)
    assert (model.n_ff_exp, model.vocab_size) == (3, 0)
    assert (config.steps, config.lr, config.batch_size, config.seed) == (500, 0.0119, 1, 7)


def test_training_operations_agree_with_a_hand_count() -> None:
    genome = Genome(n_emb=2, n_ctx=4, n_layer=1, n_head=1, n_ff_exp=1, steps=50, lr=0.01)
    # Forward, a document of three tokens, vocabulary of 5: q, k, v, o and the two of the MLP are
    # 2 x 2, lm_head 5 x 2: 34 weights, twice a token. Keys and values: 2 x 2 numbers, twice, for
    # each of 1 + 2 + 3.
    forward = 3 * 2 * 34 + (1 + 2 + 3) * 2 * 2 * 2
    assert genome.flops(5, n_tokens=50 * 3) == 50 * 3 * forward


@pytest.mark.parametrize(("gene", "limits"), WHOLE_LIMITS.items())
def test_a_gene_outside_its_range_is_refused(gene: str, limits: tuple[int, int]) -> None:
    ones = replace(PRIMORDIAL, n_head=1)
    for limit, beyond in zip(limits, (limits[0] - 1, limits[1] + 1), strict=True):
        fitting = replace(ones, n_emb=16) if gene == "n_head" else ones
        assert getattr(replace(fitting, **{gene: limit}), gene) == limit
        with pytest.raises(GenomeError, match=f"{gene} must be between .* got {beyond}"):
            replace(ones, **{gene: beyond})


@pytest.mark.parametrize(
    ("gene", "value", "problem"),
    [
        ("n_emb", 16.0, r"n_emb must be an integer, got 16\.0"),
        ("n_ctx", True, "n_ctx must be an integer, got True"),
        ("lr", 0.0, r"lr must be between 1e-06 and 1, got 0\.0"),
        ("lr", 1.5, r"lr must be between 1e-06 and 1, got 1\.5"),
        ("lr", math.nan, "lr must be between 1e-06 and 1, got nan"),
        ("lr", "0.1", "lr must be a number, got '0.1'"),
        ("n_head", 3, r"n_emb \(16\) must be divisible by n_head \(3\)"),
    ],
)
def test_impossible_genes_are_refused(gene: str, value: object, problem: str) -> None:
    with pytest.raises(GenomeError, match=problem):
        replace(PRIMORDIAL, **{gene: value})
