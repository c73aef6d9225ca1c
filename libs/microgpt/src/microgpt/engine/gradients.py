"""Gradients of all activations and weights for one text, from the activations of a forward pass.

A training step on this text computes the same gradients, but keeps only those of the weights.
Layout: rows; a row per token, unlike the buffers. See docs/engine.md#vectors.
Shapes: C = n_embd, D = head_dim, H = n_head, T = tokens, V = vocab_size.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig
from microgpt.engine.activations import Activations, log_softmax
from microgpt.model_variants import QK_SCALE, angles

Array = NDArray[Any]


class Gradients(NamedTuple):
    """Gradients of the mean loss of the predictions that count."""

    activations: dict[str, Array]  # (T, …), or (H, T, T) for attention; named as in `Activations`
    # By matrix: the input and the gradient of the output, (T, columns) and (T, rows). Their
    # products, summed over the tokens, are the gradient. For a table, (T, C) is the gradient.
    factors: dict[str, tuple[Array, Array]]

    def of(self, matrix: str) -> Array:
        """Return the gradient of a matrix."""
        inputs, outputs = self.factors[matrix]
        return outputs.T @ inputs

    def at(self, i: int) -> dict[str, Array]:
        """Return the gradients of the activations of token i, in the order of `Activations.at`."""
        return {
            name: grads[:, i, : i + 1] if grads.ndim == 3 else grads[i]
            for name, grads in self.activations.items()
        }


def gradients(found: Activations, tokens: Sequence[int], counted: Sequence[int]) -> Gradients:
    """Return the gradients for a sequence of tokens, the last of which is only a target.

    Args:
        counted: 1 for each prediction that counts, otherwise 0; at least one must count.
    """
    config, w, b, n = found.config, found.weights, found.buffers, len(tokens) - 1

    def rows(buffer: Array) -> Array:
        return buffer[:, :n].T.astype(np.float64)

    x, streams = rows(b.embedded), []  # the residual stream before attention, and before the MLP
    for layer in range(config.n_layer):
        between = x + rows(b.attn_out[layer]) @ w.attn_wo[layer].T
        streams.append((x, between))
        x = between + rows(b.hidden[layer]) @ w.mlp_fc2_t[layer]
    dlogits = np.exp(log_softmax(rows(b.logits)))
    dlogits[np.arange(n), tokens[1:]] -= 1
    dlogits *= np.array(counted)[:, None] / sum(counted)
    grads, factors = {"logits": dlogits}, {}
    factors["lm_head"] = (_normalized(x) if config.final_norm else x), dlogits
    dx = dlogits @ w.lm_head
    if config.final_norm:
        grads["final_norm"], dx = dx, _rmsnorm_backward(dx, x)
    for layer in reversed(range(config.n_layer)):
        x, between = streams[layer]
        hidden, mlp_input = rows(b.hidden[layer]), rows(b.mlp_norm[layer])
        dhidden = dx @ w.mlp_fc2_t[layer].T
        dsum = dhidden * (2 * np.sqrt(hidden) if config.activation == "relu2" else hidden > 0)
        dmlp_input = dsum @ w.mlp_fc1[layer]
        own = _shifted_back(dmlp_input, config.n_embd // 2 if config.token_shift else 0)
        dbetween = dx + _rmsnorm_backward(own, between)
        heads, normalized = rows(b.attn_out[layer]), rows(b.attn_norm[layer])
        dheads = dbetween @ w.attn_wo[layer]
        found_here, dqkv = _attention(found, layer, dheads, normalized)
        dinput = dqkv @ w.attn_wqkv[layer]
        here = {
            "attention_input": dinput, **found_here, "heads": dheads,
            "attention_output": dbetween, "x_after_attention": dbetween,
            "mlp_input": dmlp_input, "hidden": dhidden, "mlp_output": dx, "x": dx,
        }  # fmt: skip
        grads |= {f"layer{layer}.{name}": value for name, value in here.items()}
        dq, dk, dv = np.split(dqkv, 3, axis=1)
        products = {
            "attn_wq": (normalized, dq), "attn_wk": (normalized, dk), "attn_wv": (normalized, dv),
            "attn_wo": (heads, dbetween), "mlp_fc1": (mlp_input, dsum), "mlp_fc2": (hidden, dx),
        }  # fmt: skip
        factors |= {f"layer{layer}.{name}": pair for name, pair in products.items()}
        dx = dbetween + _rmsnorm_backward(dinput, x)
    grads["x"] = dx
    dembedding = _rmsnorm_backward(dx, rows(b.embedded) / rows(b.embedded_scale))
    grads["embedding"] = dembedding
    factors |= _tables(config, tokens[:-1], dembedding)
    return Gradients(grads, factors)


def _tables(
    config: ModelConfig, tokens: Sequence[int], dembedding: Array
) -> dict[str, tuple[Array, Array]]:
    """Return the factors of the embeddings: the gradients, and which row each token looks up."""
    n, read, found = len(tokens), np.eye(config.vocab_size)[list(tokens)], {}
    if config.n_positions:
        found["wpe"] = dembedding, np.eye(config.n_positions)[:n]
    if config.token_shift:  # the embedding of the token before is rotated by half its length
        rotated = np.roll(dembedding, -(config.n_embd // 2), axis=1)
        dembedding, read = (
            np.concatenate([dembedding, rotated[1:]]),
            np.concatenate([read, read[:-1]]),
        )
    return {**found, "wte": (dembedding, read)}


def _attention(
    found: Activations, layer: int, dheads: Array, normalized: Array
) -> tuple[dict[str, Array], Array]:
    """Return the gradients of queries, keys, values and attention, and of the products (T, 3 C)."""
    config, w = found.config, found.weights
    n, H, D = len(dheads), config.n_head, config.head_dim
    scale = QK_SCALE if config.qk_norm else 1
    qkv = found.buffers.qkv[layer, :, :n].T.astype(np.float64).reshape(n, 3, H, D)
    q, k, v = scale * qkv[:, 0], scale * qkv[:, 1], qkv[:, 2]
    attention, dheads = found.attention(layer).astype(np.float64), dheads.reshape(n, H, D)
    dattention = np.tril(np.einsum("ihd,jhd->hij", dheads, v))
    mean = (attention * dattention).sum(axis=2, keepdims=True)
    dscores = attention * (dattention - mean) / np.sqrt(D)
    dqkv = np.stack(
        [
            np.einsum("hij,jhd->ihd", dscores, k),
            np.einsum("hij,ihd->jhd", dscores, q),
            np.einsum("hij,ihd->jhd", attention, dheads),
        ],
        axis=1,
    )
    names = zip(("query", "key", "value"), dqkv.reshape(n, 3, -1).transpose(1, 0, 2), strict=True)
    grads = {**dict(names), "attention": dattention}
    if config.positions == "rotary":
        turns = np.exp(-1j * np.outer(np.arange(n), angles(config, 1)))[:, None, None]
        turned = np.ascontiguousarray(dqkv[:, :2]).view(complex) * turns
        dqkv = np.concatenate([turned.view(float), dqkv[:, 2:]], axis=1)
    if config.qk_norm:
        products = (normalized @ w.attn_wqkv[layer, : 2 * config.n_embd].T).reshape(n, 2, H, D)
        before = _rmsnorm_backward(scale * dqkv[:, :2], products)
        dqkv = np.concatenate([before, dqkv[:, 2:]], axis=1)
    return grads, dqkv.reshape(n, -1)


def _shifted_back(grads: Array, half: int) -> Array:
    """Undo the token shift: move the gradients of each first half to the token before it."""
    shifted = grads.copy()
    if half:
        shifted[:-1, :half], shifted[-1, :half] = grads[1:, :half], 0
    return shifted


def _scale(x: Array) -> Array:
    scale: Array = (np.mean(x * x, axis=-1, keepdims=True) + 1e-5) ** -0.5
    return scale


def _normalized(x: Array) -> Array:
    return x * _scale(x)


def _rmsnorm_backward(grads: Array, x: Array) -> Array:
    """Return the gradient of x from that of `rmsnorm(x)`."""
    y = _normalized(x)
    dx: Array = _scale(x) * (grads - y * np.mean(y * grads, axis=-1, keepdims=True))
    return dx
