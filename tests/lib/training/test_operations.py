"""Operations count matrix products exactly and grow with every size; the speed is measured.

The clock of the tests of the speed counts tokens.
"""

from dataclasses import replace

import pytest

from microgpt import count_params
from microgpt.config import ModelConfig, TrainConfig
from microgpt.training import operations
from microgpt.training.operations import (
    evaluation_operations,
    operations_per_second,
    step_operations,
)

MODEL = ModelConfig(n_embd=64, n_head=4, n_layer=3, block_size=64, vocab_size=100)
CONFIG = TrainConfig(batch_size=32)
TIMED = ModelConfig(n_embd=32, n_layer=2, vocab_size=9)


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
def test_larger_sizes_and_muon_increase_the_operations(
    larger: tuple[ModelConfig, TrainConfig, float],
) -> None:
    assert step_operations(*larger) > step_operations(MODEL, CONFIG, 20)


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


class TimedEngine:
    """An engine that only lets the clock advance, a millisecond for each token."""

    def __init__(self, docs) -> None:
        self.n_steps, self.now = 0, 0.0
        self.step_s = 0.001 * sum(len(doc) - 1 for doc in docs)

    def run(self, until_step: int) -> None:
        self.n_steps += 1
        self.now += self.step_s


@pytest.mark.parametrize("batch_size", [1, 64])
@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_the_measured_speed_matches_that_of_a_simulated_engine(
    monkeypatch, engine, batch_size
) -> None:
    made = []

    def make(name, dtype, model, config, docs, rng, threads) -> TimedEngine:
        made.append(TimedEngine(docs))
        return made[0]

    monkeypatch.setattr(operations, "make_engine", make)
    monkeypatch.setattr(operations, "perf_counter", lambda: made[0].now)
    config = TrainConfig(steps=1000, batch_size=batch_size, lr=0.001)
    measured = operations_per_second(TIMED, config, length=5.75, engine=engine)
    step_s = 0.001 * 6 * batch_size
    assert measured == pytest.approx(step_operations(TIMED, config, 6) / step_s)
    assert made[0].now < 2


@pytest.mark.parametrize("threads", [1, 2])
def test_the_speed_of_muon_can_be_measured_with_threads(threads) -> None:
    config = TrainConfig(batch_size=64, optimizer="muon", lr=0.01, weight_decay=0.1, dropout=0.1)
    assert operations_per_second(TIMED, config, length=8, threads=threads) > 0
