"""The measured speed is that of the training: the clock of these tests counts tokens."""

import pytest

from microgpt import ModelConfig, TrainConfig
from microgpt.training import speed
from microgpt.training.operations import step_operations
from microgpt.training.speed import operations_per_second

MODEL = ModelConfig(n_embd=32, n_layer=2, vocab_size=9)


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
def test_the_measured_speed_is_that_of_the_engine(monkeypatch, engine, batch_size) -> None:
    made = []

    def make(name, *, docs, **others) -> TimedEngine:
        made.append(TimedEngine(docs))
        return made[0]

    monkeypatch.setattr(speed, "make_engine", make)
    monkeypatch.setattr(speed, "perf_counter", lambda: made[0].now)
    config = TrainConfig(steps=1000, batch_size=batch_size, lr=0.001)
    measured = operations_per_second(MODEL, config, length=5.75, engine=engine)
    step_s = 0.001 * 6 * batch_size
    assert measured == pytest.approx(step_operations(MODEL, config, 6) / step_s)
    assert made[0].now < 2


@pytest.mark.parametrize("threads", [1, 2])
def test_every_optimizer_and_number_of_threads_can_be_measured(threads) -> None:
    config = TrainConfig(batch_size=64, optimizer="muon", lr=0.01, weight_decay=0.1, dropout=0.1)
    assert operations_per_second(MODEL, config, length=8, threads=threads) > 0
