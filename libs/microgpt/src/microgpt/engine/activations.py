"""All activations of a forward pass, read from the buffers of the compiled engine.

Layout: columns in the buffers; the results of `Activations.at` have one number per feature of one
token. See docs/engine.md#vectors. Shapes: C = n_embd, H = n_head, T = tokens, V = vocab_size.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig
from microgpt.engine.buffers import Buffers
from microgpt.engine.weights import Weights
from microgpt.errors import PromptError
from microgpt.model_variants import QK_SCALE
from microgpt.sampling import NOT_FINITE_MESSAGE


class Activations:
    """The activations of one sequence of T tokens."""

    def __init__(self, config: ModelConfig, weights: Weights, buffers: Buffers, n: int) -> None:
        self.config, self.weights, self.buffers, self._n = config, weights, buffers, n

    def log_probabilities(self, first: int = 0) -> NDArray[np.float64]:
        """Return next-token log-probabilities (T - first, V) from index `first` on.

        Raises:
            PromptError: a logit is not finite.
        """
        logits = self.buffers.logits[:, first : self._n].T
        if not np.isfinite(logits).all():
            raise PromptError(NOT_FINITE_MESSAGE)
        return log_softmax(logits)

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

    @np.errstate(all="ignore")
    def at(self, i: int) -> dict[str, NDArray[Any]]:
        """Return all activations of token i, from the embedding to the logits, in order.

        The part of a name before a dot is the layer. Queries and keys are normalized and rotated if
        the model does so.

        Raises:
            PromptError: a number is not finite.
        """
        b, w, C = self.buffers, self.weights, self.config.n_embd
        found = {"embedding": b.embedded[:, i] / b.embedded_scale[0, i], "x": b.embedded[:, i]}
        x, scale = b.embedded[:, i], QK_SCALE if self.config.qk_norm else 1
        for layer in range(self.config.n_layer):
            qkv = b.qkv[layer, :, i]
            from_attention = w.attn_wo[layer] @ b.attn_out[layer, :, i]
            from_mlp = w.mlp_fc2_t[layer].T @ b.hidden[layer, :, i]
            steps = {
                "attention_input": b.attn_norm[layer, :, i],
                "query": scale * qkv[:C],  # the kernel scales the dot products
                "key": scale * qkv[C : 2 * C],
                "value": qkv[2 * C :],
                "attention": self.attention(layer)[:, i, : i + 1].copy(),  # not all of it
                "heads": b.attn_out[layer, :, i],
                "attention_output": from_attention,
                "x_after_attention": x + from_attention,
                "mlp_input": b.mlp_norm[layer, :, i],
                "hidden": b.hidden[layer, :, i],
                "mlp_output": from_mlp,
                "x": x + from_attention + from_mlp,
            }
            found |= {f"layer{layer}.{name}": value for name, value in steps.items()}
            x = steps["x"]
        if self.config.final_norm:
            found["final_norm"] = b.x[:, i]
        found["logits"] = b.logits[:, i]
        if not all(np.isfinite(each).all() for each in found.values()):
            raise PromptError(NOT_FINITE_MESSAGE)
        return found


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the log-probabilities of logits (..., V)."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return scores
