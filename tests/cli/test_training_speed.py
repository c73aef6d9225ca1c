import pytest

from microgpt import CharTokenizer, Message, ModelConfig
from microgpt.state import TrainEvent
from microgpt.training.train import train
from microgpt_cli import training_speed
from microgpt_cli.training_speed import measure_speed


def test_the_measured_speed_is_that_of_a_training(monkeypatch) -> None:
    """A step takes 10 ms by the clock of this test."""
    now = 1.0

    def timed(*args, on_event, **options):
        def follow(event: TrainEvent) -> None:
            nonlocal now
            now = 1 + 0.01 * event.step
            on_event(event)

        return train(*args, on_event=follow, **options)

    monkeypatch.setattr(training_speed, "train", timed)
    monkeypatch.setattr(training_speed, "perf_counter", lambda: now)
    docs = ["anna", "emmanuelle"] * 50
    speed = measure_speed(docs, ModelConfig(), CharTokenizer.from_documents(docs), 2)
    assert speed.docs_per_s == pytest.approx(200)
    assert speed.tokens_per_s == pytest.approx(1600)  # 4 and 10 of a document, and the ends


def test_long_documents_are_encoded_only_in_part(monkeypatch) -> None:
    encoded = []
    encode = CharTokenizer.encode
    monkeypatch.setattr(
        CharTokenizer, "encode", lambda self, text: encoded.append(len(text)) or encode(self, text)
    )
    docs = ["ab" * 500_000] * 50
    speed = measure_speed(docs, ModelConfig(), CharTokenizer("ab"), 1)
    assert max(encoded, default=0) <= 16
    assert speed.tokens_per_s == pytest.approx(16 * speed.docs_per_s)


def test_the_speed_of_conversations_can_be_measured() -> None:
    docs = [(Message("user", "hi"), Message("assistant", "yo"))]
    speed = measure_speed(docs, ModelConfig(block_size=32), CharTokenizer.from_documents(docs), 1)
    assert speed.tokens_per_s == pytest.approx(9 * speed.docs_per_s)
