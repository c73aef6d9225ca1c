"""The measured speed predicts the time of a training."""

from dataclasses import replace
from time import process_time

import pytest

from microgpt import ModelConfig, TrainConfig
from microgpt.training import speed
from microgpt.training.operations import step_operations
from microgpt.training.speed import operations_per_second
from microgpt.training.train import train

DOCS = ["anna", "emma", "olivia", "ava"] * 50  # 5.75 tokens with the end, on average
MODEL = ModelConfig(n_embd=32, n_layer=2, vocab_size=9)


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> None:
    """A clock that stands while other processes have the processor."""
    monkeypatch.setattr(speed, "perf_counter", process_time)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 64])
@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_the_speed_predicts_the_time_of_a_training(engine, batch_size) -> None:
    steps = {"compiled": 40_000, "reference": 64}[engine] // batch_size
    config = TrainConfig(steps=steps, batch_size=batch_size, lr=0.001)
    dtype = "float64" if engine == "reference" else "float32"
    per_s = operations_per_second(MODEL, config, length=5.75, engine=engine, dtype=dtype)
    started = process_time()
    train(DOCS, model=replace(MODEL, vocab_size=0), config=config, engine=engine)
    expected = steps * step_operations(MODEL, config, 5.75) / per_s
    assert 1 / 3 < (process_time() - started) / expected < 3  # caches and clock rates are shared


@pytest.mark.parametrize("threads", [1, 2])
def test_every_optimizer_and_number_of_threads_can_be_measured(threads) -> None:
    config = TrainConfig(batch_size=64, optimizer="muon", lr=0.01, weight_decay=0.1, dropout=0.1)
    assert operations_per_second(MODEL, config, length=8, threads=threads) > 1e8
