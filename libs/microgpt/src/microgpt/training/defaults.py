"""Default model shape and training settings for given documents."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from microgpt.config import ModelConfig, TextKind, TrainConfig, default_lr
from microgpt.data.split import Split
from microgpt.data.tokenizer import Tokenizer

# `fingerprint` of the bundled names.txt, Karpathy's data.
NAMES_SHA256 = "816d2a728695db28a20e17eae61c9c423091a511b3df09a06a489dccbf0876c7"
MAX_CONTEXT = 256  # longer documents are split into windows
STREAM_CONTEXT = 64  # context for running text, in tokens; longer contexts are not worth the cost
SHARE_THAT_FITS = 0.99  # minimum fraction of the documents that fit into the context
N_EPOCHS = 10  # maximum passes over the data; a model memorises data that it reads more often
N_LENGTHS = 10_000  # number of evenly spaced documents whose lengths are measured


class _Row(NamedTuple):
    """Settings for data of up to `n_tokens` tokens."""

    n_tokens: float
    n_embd: int
    n_layer: int
    batch_size: int
    steps: int  # maximum
    lr: float


# A larger model needs more text, or it memorises the documents. Training takes at most about a
# minute on one core for each row.
_TABLE = (
    _Row(5_000, n_embd=16, n_layer=1, batch_size=1, steps=1_000, lr=0.01),
    _Row(150_000, n_embd=32, n_layer=2, batch_size=16, steps=3_000, lr=0.006),
    _Row(float("inf"), n_embd=64, n_layer=3, batch_size=16, steps=3_000, lr=0.005),
)


class Defaults(NamedTuple):
    """A model shape and matching training settings."""

    model: ModelConfig
    config: TrainConfig


def defaults_for(parts: Split, tokenizer: Tokenizer, text: TextKind = TrainConfig.text) -> Defaults:
    """Return Karpathy's settings for his names, else settings that fit the documents.

    The width, depth, batch size and learning rate depend on the number of tokens, including
    held-out documents; the context depends on the lengths of the documents. Except for very small
    data, the number of steps is limited to N_EPOCHS passes over the data.
    """
    if parts.facts.sha256 == NAMES_SHA256:
        return Defaults(ModelConfig(), TrainConfig(lr=default_lr(), text=text))
    sample = parts.docs[:: max(1, len(parts.docs) // N_LENGTHS)]
    lengths = sorted(tokenizer.count_tokens(doc) - 1 for doc in sample)  # predicted tokens
    n_per_length = len(parts.docs) / max(1, len(lengths))
    n_tokens = n_per_length * sum(lengths)
    row = next(row for row in _TABLE if n_tokens <= row.n_tokens)
    context = STREAM_CONTEXT if text == "stream" else _context(lengths)
    n_chunks = n_per_length * sum(ceil(length / context) for length in lengths)
    steps = row.steps
    if row.batch_size > 1:  # few documents need many passes
        steps = min(steps, ceil(N_EPOCHS * n_chunks / row.batch_size))
    return Defaults(
        ModelConfig(n_embd=row.n_embd, n_layer=row.n_layer, block_size=context),
        TrainConfig(steps=steps, batch_size=row.batch_size, lr=row.lr, text=text),
    )


def _context(lengths: Sequence[int]) -> int:
    """Return the smallest power of two from 16 to MAX_CONTEXT that covers most of the lengths."""
    wanted = lengths[int(SHARE_THAT_FITS * (len(lengths) - 1))] if lengths else 0
    context = ModelConfig.block_size
    while context < min(wanted, MAX_CONTEXT):
        context *= 2
    return context
