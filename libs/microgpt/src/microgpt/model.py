"""The GPT: Karpathy's microgpt, one forward pass for training and inference.

Embeddings, then per layer causal attention and an MLP, each with a pre-RMSNorm and a residual
connection; no biases. The forward pass reads one token at a time and keeps the keys and values of
earlier tokens (the KV cache). Use `Value`s for training and floats for inference.

Shapes: C = n_embd, T = the tokens so far, V = vocab_size. A matrix (m, n) is m rows of n numbers.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Generic

from microgpt.model_config import ModelConfig
from microgpt.value import Number, dot, exp, log, relu, total

Vector = list[Number]
Matrix = Sequence[Sequence[Number]]
Weights = Mapping[str, Matrix[Number]]
KVCache = list[tuple[list[Vector[Number]], list[Vector[Number]]]]  # per layer: T keys, T values (C)
Drop = Callable[[Vector[Number], int, int], Vector[Number]]  # dropout, or `keep_all`


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Return the name and shape of each weight matrix, in order of initialization."""
    C, hidden = config.n_embd, config.n_ff_exp * config.n_embd
    shapes = {
        "wte": (config.vocab_size, C),  # token embeddings
        "wpe": (config.block_size, C),  # position embeddings
        "lm_head": (config.vocab_size, C),  # from the residual stream to logits
    }
    for layer in range(config.n_layer):
        for name in ("attn_wq", "attn_wk", "attn_wv", "attn_wo"):
            shapes[f"layer{layer}.{name}"] = (C, C)
        shapes[f"layer{layer}.mlp_fc1"] = (hidden, C)
        shapes[f"layer{layer}.mlp_fc2"] = (C, hidden)
    return shapes


def count_params(config: ModelConfig) -> int:
    """Return the number of weights of a model of this shape."""
    C, block = config.n_embd, (4 + 2 * config.n_ff_exp) * config.n_embd**2
    return (2 * config.vocab_size + config.block_size) * C + config.n_layer * block


def init_weights(config: ModelConfig, rng: random.Random) -> dict[str, list[list[float]]]:
    """Return Gaussian initial weights, drawn row by row in the order of `weight_shapes`."""
    return {
        name: [[rng.gauss(0, config.init_std) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in weight_shapes(config).items()
    }


def keep_all(x: Vector[Number], position: int, site: int) -> Vector[Number]:
    """Return x unchanged: no dropout; training may use `dropout_mask.Dropout` instead."""
    return x


class Gpt(Generic[Number]):
    """A GPT over weights that are `Value`s or plain floats."""

    def __init__(self, config: ModelConfig, weights: Weights[Number]) -> None:
        self.config = config
        self.weights: Weights[Number] = weights

    def new_cache(self) -> KVCache[Number]:
        """Return the empty cache of a new sequence."""
        return [([], []) for _ in range(self.config.n_layer)]

    def forward(
        self, token: int, cache: KVCache[Number], drop: Drop[Number] = keep_all
    ) -> Vector[Number]:
        """Read the next token, up to block_size in all; return the logits of the one after it."""
        position = len(cache[0][0])
        x = add(self.weights["wte"][token], self.weights["wpe"][position])  # (C)
        x = rmsnorm(x)  # before the first block too: the residual stream starts at unit RMS
        x = drop(x, position, 0)
        for layer in range(self.config.n_layer):
            x = add(x, drop(self.attention(rmsnorm(x), layer, cache), position, 2 * layer + 1))
            x = add(x, drop(self.mlp(rmsnorm(x), layer), position, 2 * layer + 2))
        return linear(x, self.weights["lm_head"])  # (V)

    def attention(self, x: Vector[Number], layer: int, cache: KVCache[Number]) -> Vector[Number]:
        """Return causal multi-head attention over the tokens so far: (C) -> (C)."""
        query = linear(x, self.weights[f"layer{layer}.attn_wq"])
        keys, values = cache[layer]
        keys.append(linear(x, self.weights[f"layer{layer}.attn_wk"]))
        values.append(linear(x, self.weights[f"layer{layer}.attn_wv"]))
        out: Vector[Number] = []
        head_dim = self.config.head_dim
        for start in range(0, self.config.n_embd, head_dim):  # each head has a slice of C
            head = slice(start, start + head_dim)
            attn_logits = [dot(query[head], key[head]) / head_dim**0.5 for key in keys]  # (T)
            attn_weights = softmax(attn_logits)  # (T), adding up to 1
            for i in range(start, start + head_dim):  # weighted mean of the values
                out.append(dot(attn_weights, [value[i] for value in values]))
        return linear(out, self.weights[f"layer{layer}.attn_wo"])

    def mlp(self, x: Vector[Number], layer: int) -> Vector[Number]:
        """Return the MLP, with a ReLU between its two layers: (C) -> (C)."""
        hidden = linear(x, self.weights[f"layer{layer}.mlp_fc1"])  # (n_ff_exp * C)
        return linear([relu(h) for h in hidden], self.weights[f"layer{layer}.mlp_fc2"])


def add(a: Sequence[Number], b: Sequence[Number]) -> Vector[Number]:
    """Return the elementwise sum a + b."""
    return [x + y for x, y in zip(a, b, strict=True)]


def linear(x: Sequence[Number], w: Matrix[Number]) -> Vector[Number]:  # (n), (m, n) -> (m)
    """Return the matrix-vector product w x."""
    return [dot(row, x) for row in w]


def rmsnorm(x: Sequence[Number]) -> Vector[Number]:
    """Return x scaled to a root mean square of 1 (Zhang & Sennrich 2019)."""
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5  # 1e-5 avoids division by zero
    return [xi * scale for xi in x]


def softmax(logits: Sequence[Number]) -> Vector[Number]:
    """Return exp(logits), scaled to a sum of 1."""
    largest = max(map(float, logits))  # subtracted to avoid overflow; the result is the same
    exps = [exp(logit - largest) for logit in logits]
    norm = total(exps)
    return [e / norm for e in exps]


def cross_entropy(logits: Sequence[Number], target: int) -> Number:
    """Return -log(softmax(logits)[target]), the negative log-likelihood of the target in nats."""
    largest = max(map(float, logits))
    # Take the logarithm of the sum, as the quotient can round to 0.
    return log(total(exp(logit - largest) for logit in logits)) - (logits[target] - largest)
