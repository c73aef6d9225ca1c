"""How fast a model trains on this computer: a training of a moment, measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from microgpt.config import MAX_SIZE, ModelConfig, TrainConfig
from microgpt.data.tokenizer import Document, Tokenizer
from microgpt.state import TrainEvent
from microgpt.train import train

N_DOCS = 1000  # that are trained on: enough for a fair mix, and no wait before the first step
PROBE_S = 0.3


@dataclass(frozen=True)
class TrainingSpeed:
    """How fast a model trains, a document a step, in one thread."""

    docs_per_s: float
    tokens_per_s: float


def measure_speed(
    docs: Sequence[Document], model: ModelConfig, tokenizer: Tokenizer
) -> TrainingSpeed:
    """Return how fast a model trains on documents, after 0.3 s of it.

    Args:
        docs: some from all over are used.
        model: its shape.
        tokenizer: of all documents.

    Raises:
        ConfigError: there is not enough memory.
    """
    # More characters than can be learnt of a text would only take long to encode.
    most = model.block_size * max(map(len, tokenizer.piece_names))
    part = docs[:: max(1, len(docs) // N_DOCS)]
    sample = [doc[:most] if isinstance(doc, str) else doc for doc in part]
    # No end, nothing that could diverge, and a document a step.
    config = TrainConfig(steps=MAX_SIZE, lr=1e-6, long_docs="truncate")
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
    docs_per_s = n_steps / (ended - started)
    return TrainingSpeed(docs_per_s, docs_per_s * sum(lengths) / len(lengths))
