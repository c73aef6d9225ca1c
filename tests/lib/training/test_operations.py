"""Operations count matrix products exactly and grow with every size."""

from dataclasses import replace

import pytest

from microgpt.config import ModelConfig, TrainConfig
from microgpt.model_config import count_params
from microgpt.training.operations import evaluation_operations, step_operations

MODEL = ModelConfig(n_embd=64, n_head=4, n_layer=3, block_size=64, vocab_size=100)
CONFIG = TrainConfig(batch_size=32)


@pytest.mark.parametrize(
    "larger",
    [
        (replace(MODEL, n_embd=128), CONFIG, 20.0),
        (replace(MODEL, n_layer=4), CONFIG, 20.0),
        (replace(MODEL, vocab_size=200), CONFIG, 20.0),
        (replace(MODEL, n_ff_exp=5), CONFIG, 20.0),
        (MODEL, replace(CONFIG, batch_size=33), 20.0),
        (MODEL, replace(CONFIG, optimizer="muon"), 20.0),
        (MODEL, CONFIG, 21.0),
    ],
)
def test_every_size_increases_the_operations(
    larger: tuple[ModelConfig, TrainConfig, float],
) -> None:
    assert step_operations(*larger) > step_operations(MODEL, CONFIG, 20)


def test_matrix_products_dominate_in_large_models() -> None:
    large = ModelConfig(n_embd=2048, n_layer=24, block_size=8, vocab_size=1000, positions="rotary")
    config = TrainConfig(batch_size=4096)
    n_weights = count_params(large) - large.vocab_size * large.n_embd  # without the lookup
    products = 6 * n_weights * 4096 * 8
    assert step_operations(large, config, 8) == pytest.approx(products, rel=0.01)


def test_an_evaluation_costs_a_third_of_a_training_step() -> None:
    config = TrainConfig(batch_size=1000)
    assert evaluation_operations(MODEL, 20, 20_000) == pytest.approx(
        step_operations(MODEL, config, 20) / 3, rel=0.01
    )
