"""Karpathy's microgpt model, with one forward pass for training and inference.

The model consists of embeddings and, per layer, causal attention and an MLP, each with pre-RMSNorm
and a residual connection. There are no biases. The forward pass reads one token at a time and keeps
the keys and values of earlier tokens in a cache. Weights are `Value`s or, for inference, floats.

Shapes: C = n_embd, T = tokens so far, V = vocab_size. A matrix (m, n) has m rows of n numbers.

On first reading, skip `model_variants`, which overrides some methods, and `dropout_mask`: a `drop`
function of a vector, its token position and its site (the index of its place in the model).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Generic

from microgpt.errors import ConfigError
from microgpt.model_config import ModelConfig
from microgpt.value import Number, dot, exp, log, relu, total

Vector = list[Number]
Matrix = Sequence[Sequence[Number]]
Weights = Mapping[str, Matrix[Number]]
KVCache = list[tuple[list[Vector[Number]], list[Vector[Number]]]]  # per layer: keys and values
Drop = Callable[[Vector[Number], int, int], Vector[Number]]  # a dropout function or `keep_all`


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Return the name and shape of each weight matrix, in order of initialization."""
    C, hidden = config.n_embd, config.n_ff_exp * config.n_embd
    shapes = {
        "wte": (config.vocab_size, C),  # token embeddings
        "wpe": (config.block_size, C),  # position embeddings
        "lm_head": (config.vocab_size, C),  # projection from the residual stream to logits
    }
    for layer in range(config.n_layer):
        for name in ("attn_wq", "attn_wk", "attn_wv", "attn_wo"):
            shapes[f"layer{layer}.{name}"] = (C, C)
        shapes[f"layer{layer}.mlp_fc1"] = (hidden, C)
        shapes[f"layer{layer}.mlp_fc2"] = (C, hidden)
    if config.positions == "rotary":
        del shapes["wpe"]
    return shapes


def count_params(config: ModelConfig) -> int:
    """Return the number of weights of a model."""
    C, block = config.n_embd, (4 + 2 * config.n_ff_exp) * config.n_embd**2
    n_positions = 0 if config.positions == "rotary" else config.block_size
    return (2 * config.vocab_size + n_positions) * C + config.n_layer * block


def init_weights(config: ModelConfig, rng: random.Random) -> dict[str, list[list[float]]]:
    """Return Gaussian initial weights, sampled row by row in the order of `weight_shapes`."""
    return {
        name: [[rng.gauss(0, config.init_std) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in weight_shapes(config).items()
    }


def keep_all(x: Vector[Number], position: int, site: int) -> Vector[Number]:
    """Return x unchanged. This default for `drop` disables dropout."""
    return x


class Gpt(Generic[Number]):
    """A GPT whose weights are `Value`s or floats."""

    def __init__(self, config: ModelConfig, weights: Weights[Number]) -> None:
        chosen = (config.positions, config.token_shift, config.activation, config.qk_norm)
        if type(self) is Gpt and (config.final_norm or chosen != ("learned", False, "relu", False)):
            raise ConfigError("this architecture requires microgpt.model_variants.GptVariant")
        self.config = config
        self.weights: Weights[Number] = weights

    def new_cache(self) -> KVCache[Number]:
        """Return an empty KV cache for a new sequence."""
        return [([], []) for _ in range(self.config.n_layer)]

    def forward(
        self, token: int, cache: KVCache[Number], drop: Drop[Number] = keep_all
    ) -> Vector[Number]:
        """Add a token to the cache (at most block_size tokens); return the next token's logits."""
        position, V, limit = len(cache[0][0]), self.config.vocab_size, self.config.block_size
        if not (0 <= token < V and position < limit):
            raise ConfigError(f"out of range: token {token} of {V}, position {position} of {limit}")
        x = drop(rmsnorm(self.embedding(token, cache)), position, 0)  # (C), all at one scale
        for layer in range(self.config.n_layer):  # residual: x + f(x) lets gradients flow
            x = add(x, drop(self.attention(rmsnorm(x), layer, cache), position, 2 * layer + 1))
            x = add(x, drop(self.mlp(rmsnorm(x), layer, cache), position, 2 * layer + 2))
        return self.logits(x)  # (V)

    def embedding(self, token: int, cache: KVCache[Number]) -> Vector[Number]:
        """Return the sum of the token embedding and the position embedding."""
        return add(self.weights["wte"][token], self.weights["wpe"][len(cache[0][0])])

    def logits(self, x: Vector[Number]) -> Vector[Number]:
        """Project the residual stream to logits: (C) -> (V)."""
        return linear(x, self.weights["lm_head"])

    def query_or_key(self, x: Vector[Number], matrix: str, position: int) -> Vector[Number]:
        """Return the query or the key of a token for all heads: (C) -> (C)."""
        return linear(x, self.weights[matrix])

    def attention(self, x: Vector[Number], layer: int, cache: KVCache[Number]) -> Vector[Number]:
        """Apply causal multi-head attention over the tokens so far: (C) -> (C)."""
        (keys, values), head_dim = cache[layer], self.config.head_dim
        query = self.query_or_key(x, f"layer{layer}.attn_wq", len(keys))
        keys.append(self.query_or_key(x, f"layer{layer}.attn_wk", len(keys)))
        values.append(linear(x, self.weights[f"layer{layer}.attn_wv"]))
        out: Vector[Number] = []
        for start in range(0, self.config.n_embd, head_dim):  # heads can attend to different tokens
            head = slice(start, start + head_dim)  # dimensions of this head
            attn_weights = self.attention_weights(query[head], [key[head] for key in keys])  # (T)
            for i in range(start, start + head_dim):  # weighted mean of the value vectors
                out.append(dot(attn_weights, [value[i] for value in values]))
        return linear(out, self.weights[f"layer{layer}.attn_wo"])

    def attention_weights(self, query: Vector[Number], keys: Matrix[Number]) -> Vector[Number]:
        """Return how much each token so far counts in a head; the weights sum to 1: (T)."""
        # Dividing by sqrt(head_dim) keeps the variance near 1, so softmax does not saturate.
        return softmax([dot(query, key) / self.config.head_dim**0.5 for key in keys])

    def mlp(self, x: Vector[Number], layer: int, cache: KVCache[Number]) -> Vector[Number]:
        """Apply the two-layer MLP with ReLU activation: (C) -> (C). Only variants use the cache."""
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
    """Return exp(logits) normalized to sum to 1."""
    largest = max(map(float, logits))  # subtracted to avoid overflow without changing the result
    exps = [exp(logit - largest) for logit in logits]
    norm = total(exps)
    return [e / norm for e in exps]


def cross_entropy(logits: Sequence[Number], target: int | Sequence[float]) -> Number:
    """Return -log(softmax(logits)[target]) in nats, or its mean over a distribution of targets."""
    largest = max(map(float, logits))
    shares = [(target, 1.0)] if isinstance(target, int) else enumerate(target)
    mean = total((logits[token] - largest) * share for token, share in shares)
    # log(softmax(...)) would fail if the probability underflowed to 0, so use log-sum-exp.
    return log(total(exp(logit - largest) for logit in logits)) - mean
