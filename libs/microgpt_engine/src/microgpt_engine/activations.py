"""Probabilities and attention weights of a forward pass, from the buffers of the compiled engine.

Layout: columns in the buffers. See docs/engine.md#vectors. Shapes: H = n_head, T = tokens,
V = vocab_size.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt import NOT_FINITE_MESSAGE, ModelConfig, PromptError
from microgpt_engine.buffers import Buffers


class Activations:
    """The activations of one sequence of T tokens."""

    def __init__(self, config: ModelConfig, buffers: Buffers, n: int) -> None:
        self.config, self.buffers, self._n = config, buffers, n

    def log_probabilities(self, first: int = 0) -> Iterator[list[float]]:
        """Yield next-token log-probabilities (T - first, V) from index `first` on.

        Raises:
            PromptError: a logit is not finite.
        """
        logits = self.buffers.logits[:, first : self._n].T
        if not np.isfinite(logits).all():
            raise PromptError(NOT_FINITE_MESSAGE)
        for row in log_softmax(logits):  # a list of all rows would take four times the memory
            yield row.tolist()

    def attention(self, layer: int) -> NDArray[Any]:
        """Return how much each token attends to each token of a layer: (H, T, T).

        Rows are queries and columns are keys. Rows sum to 1; later tokens have weight 0.
        """
        packed, n = self.buffers.attn_weights[layer], self._n
        maps = np.zeros((self.config.n_head, n, n), packed.dtype)
        lanes, row = packed.shape[1], 0
        for head in maps:  # in the order in which `attention` writes them
            for start in range(0, n, lanes):
                end = min(start + lanes, n)
                head[start:end, :end] = packed[row : row + end, : end - start].T
                row += -(-end // lanes) * lanes
        return maps


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the log-probabilities of logits (..., V)."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return scores
