"""Measure the training speed on documents of a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from microgpt.config import MAX_SIZE, ModelConfig, TrainConfig
from microgpt.data.tokenizer import Document, Tokenizer
from microgpt.state import TrainEvent
from microgpt.training.train import train

N_DOCS = 1000  # approximate number of documents; representative and quick to load
PROBE_S = 0.3


@dataclass(frozen=True)
class TrainingSpeed:
    """Training speed with one thread."""

    docs_per_s: float
    tokens_per_s: float


def measure_speed(
    docs: Sequence[Document], model: ModelConfig, tokenizer: Tokenizer, batch_size: int
) -> TrainingSpeed:
    """Return the speed, measured for 0.3 s; raise ConfigError if there is not enough memory."""
    # Truncate texts, because characters beyond the context only slow down encoding.
    most = model.block_size * max(map(len, tokenizer.piece_names))
    part = docs[:: max(1, len(docs) // N_DOCS)]
    sample = [doc[:most] if isinstance(doc, str) else doc for doc in part]
    # No step limit, a learning rate too low to diverge, and one chunk per document.
    config = TrainConfig(steps=MAX_SIZE, batch_size=batch_size, lr=1e-6, long_docs="truncate")
    started, ended, n_steps = 0.0, 0.0, 0

    def is_over() -> bool:
        nonlocal started
        started = started or perf_counter()
        return n_steps > 0 and perf_counter() - started > PROBE_S

    def follow(event: TrainEvent) -> None:
        nonlocal ended, n_steps
        ended, n_steps = perf_counter(), event.step

    train(
        sample,
        model=model,
        config=config,
        tokenizer=tokenizer,
        on_event=follow,
        should_stop=is_over,
    )
    lengths = [min(tokenizer.count_tokens(doc) - 1, model.block_size) for doc in sample]
    docs_per_s = n_steps * batch_size / (ended - started)
    return TrainingSpeed(docs_per_s, docs_per_s * sum(lengths) / len(lengths))
