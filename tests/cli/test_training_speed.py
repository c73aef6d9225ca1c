from time import process_time

import pytest

from microgpt import CharTokenizer, Message, ModelConfig, TrainConfig
from microgpt.training.train import train
from microgpt_cli import training_speed
from microgpt_cli.training_speed import measure_speed


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> None:
    """A clock that stands while other processes have the processor."""
    monkeypatch.setattr(training_speed, "perf_counter", process_time)


@pytest.mark.slow
def test_the_speed_is_that_of_a_training() -> None:
    docs = ["anna", "emmanuelle"] * 50
    model, steps = ModelConfig(n_embd=64), 4000
    speed = measure_speed(docs, model, CharTokenizer.from_documents(docs), 1)
    assert speed.tokens_per_s / speed.docs_per_s == pytest.approx(8)  # 4 and 10, and the ends
    started = process_time()
    train(docs, model=model, config=TrainConfig(steps=steps))
    seconds = process_time() - started
    assert 1 / 3 < seconds * speed.docs_per_s / steps < 3  # caches and clock rates are shared


def test_measuring_takes_a_moment_however_long_the_documents_are() -> None:
    docs = ["ab" * 500_000] * 50
    started = process_time()
    speed = measure_speed(docs, ModelConfig(), CharTokenizer("ab"), 1)
    assert process_time() - started < 3  # to encode them all would take longer
    assert speed.tokens_per_s == pytest.approx(16 * speed.docs_per_s)


def test_conversations_are_measured_too() -> None:
    docs = [(Message("user", "hi"), Message("assistant", "yo"))]
    speed = measure_speed(docs, ModelConfig(block_size=32), CharTokenizer.from_documents(docs), 1)
    assert speed.tokens_per_s == pytest.approx(9 * speed.docs_per_s)
