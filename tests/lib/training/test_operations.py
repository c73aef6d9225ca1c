"""Operations of a training run: an estimate that counts matrix products exactly."""

import pytest

from microgpt import count_params
from microgpt.config import ModelConfig, TrainConfig
from microgpt.training.operations import (
    evaluation_operations,
    operations_per_second,
    step_operations,
)

MODEL = ModelConfig(n_embd=64, n_head=4, n_layer=3, block_size=64, vocab_size=100)
TIMED = ModelConfig(n_embd=32, n_layer=2, vocab_size=9)


def test_matrix_products_dominate_the_operations_of_large_models() -> None:
    large = ModelConfig(
        n_embd=2048, n_layer=24, block_size=8, vocab_size=1000, architecture="modern"
    )
    config = TrainConfig(batch_size=4096)
    n_weights = count_params(large) - large.vocab_size * large.n_embd  # without the lookup
    products = 6 * n_weights * 4096 * 8
    assert step_operations(large, config, 8) == pytest.approx(products, rel=0.01)


def test_an_evaluation_costs_a_third_of_a_training_step() -> None:
    config = TrainConfig(batch_size=1000)
    assert evaluation_operations(MODEL, 20, 20_000) == pytest.approx(
        step_operations(MODEL, config, 20) / 3, rel=0.01
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_the_speed_of_muon_can_be_measured_with_threads(threads) -> None:
    config = TrainConfig(batch_size=64, optimizer="muon", lr=0.01, weight_decay=0.1, dropout=0.1)
    engine = {"engine": "compiled", "dtype": "float32", "threads": threads}
    assert operations_per_second(TIMED, config, length=8, **engine) > 0
