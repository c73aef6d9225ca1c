"""A trained model on arrays, compiled: what `InferenceGpt` runs on.

Its weights are read-only, so threads can share it; each call has buffers of its own. This module
knows nothing of text.
"""

import random
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from microgpt.config import DType, ModelConfig
from microgpt.engine.buffers import allocate_buffers
from microgpt.engine.evaluate import evaluate
from microgpt.engine.weights import PackedWeights
from microgpt.model import Weights, init_weights

MICRO_BATCH = 512  # tokens of short documents that are worked on together
CALL_TOKENS = 4096  # between two returns to Python, so that it can be interrupted


class CompiledModel:
    """The weights of a model in packed arrays that cannot be written."""

    def __init__(self, config: ModelConfig, weights: Weights[float], dtype: DType) -> None:
        self.config = config
        self.dtype: DType = dtype
        packed = PackedWeights(config, dtype)
        packed.set(weights)
        for array in (packed.array, *packed.matrices):
            array.flags.writeable = False
        self._weights = packed.matrices

    def losses(self, docs: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Return the surprise at each token after the first, document by document, in nats.

        Args:
            docs: as tokens, 2 to block_size + 1 each.
        """
        lengths = [len(doc) for doc in docs]
        tokens = np.fromiter(chain.from_iterable(docs), np.int64, sum(lengths))
        starts = np.cumsum([0, *lengths])
        longest, n_losses = max(lengths) - 1, len(tokens) - len(docs)
        n_columns = min(max(longest, MICRO_BATCH), n_losses)
        buffers = allocate_buffers(self.config, self.dtype, n_columns, longest)
        losses = np.empty(n_losses, self.dtype)
        done = 0
        while done < len(docs):
            done = evaluate(
                losses,
                self._weights,
                buffers,
                self.config.n_head,
                tokens,
                starts,
                done,
                CALL_TOKENS,
            )
        return losses.astype(np.float64)


def prepare(dtype: DType) -> None:
    """Have all that an evaluation calls in memory: from disk, or compiled."""
    config = ModelConfig(n_embd=1, n_head=1, block_size=1, vocab_size=1)
    zeros = init_weights(config, random.Random(0))
    CompiledModel(config, zeros, dtype).losses([[0, 0]])
