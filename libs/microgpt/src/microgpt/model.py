"""Karpathy's microgpt model, with one forward pass for training and inference.

An RMSNorm follows the embeddings. Each layer applies causal attention and an MLP, each with an
RMSNorm before it and a residual connection around it. There are no biases. Tokens are read one at a
time. A cache stores their keys and values, so attention sees no later tokens and needs no mask.
Shapes: C = n_embd, T = tokens so far, V = vocab_size. A matrix (m, n) has m rows of n numbers.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Generic

from microgpt.errors import ConfigError
from microgpt.model_config import ModelConfig
from microgpt.value import Number, dot, exp, log, relu, total

Vector = list[Number]
Matrix = Sequence[Sequence[Number]]
Weights = Mapping[str, Matrix[Number]]
KVCache = list[tuple[list[Vector[Number]], list[Vector[Number]]]]  # per layer: keys and values


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Return the name and shape of each weight matrix, in the order of initialization."""
    C, hidden = config.n_embd, config.n_ff_exp * config.n_embd
    shapes = {
        "wte": (config.vocab_size, C),  # token embeddings
        "wpe": (config.n_positions, C),  # position embeddings; omitted if n_positions is 0
        "lm_head": (config.vocab_size, C),  # projection of the last layer's output to logits
    }
    for layer in range(config.n_layer):
        shapes |= {f"layer{layer}.attn_{name}": (C, C) for name in ("wq", "wk", "wv", "wo")}
        shapes[f"layer{layer}.mlp_fc1"] = (hidden, C)
        shapes[f"layer{layer}.mlp_fc2"] = (C, hidden)
    return {name: (rows, columns) for name, (rows, columns) in shapes.items() if rows}


def init_weights(config: ModelConfig, rng: random.Random) -> dict[str, list[list[float]]]:
    """Return Gaussian weights, drawn row by row; `init_variant` supports all architectures."""
    return {  # random, because units with equal weights would get equal gradients and stay equal
        name: [[rng.gauss(0, config.init_std) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in weight_shapes(config).items()
    }


class Gpt(Generic[Number]):
    """A GPT that computes with `Value`s, to get gradients, or with floats, which are faster."""

    architectures: tuple[str, ...] = ("karpathy",)  # architectures that this class implements

    def __init__(self, config: ModelConfig, weights: Weights[Number]) -> None:
        if config.architecture not in self.architectures:
            raise ConfigError(f"use microgpt.GptVariant for architecture {config.architecture}")
        self.config = config
        self.weights: Weights[Number] = weights

    def new_cache(self) -> KVCache[Number]:
        """Return an empty KV cache for one sequence; gradients flow back through its `Value`s."""
        return [([], []) for _ in range(self.config.n_layer)]

    def forward(self, token: int, cache: KVCache[Number]) -> Vector[Number]:
        """Add a token to the cache of up to block_size tokens; return the next token's logits."""
        position = len(cache[0][0])  # the number of tokens read so far
        self.config.check_token(token, position)
        x = rmsnorm(self.embedding(token, position))  # (C); rescales the small initial embeddings
        for layer in range(self.config.n_layer):
            x = self.block(x, layer, cache)
        return self.logits(x)  # (V)

    def embedding(self, token: int, position: int) -> Vector[Number]:
        """Return the sum of token and position embeddings; attention alone ignores token order."""
        return add(self.weights["wte"][token], self.weights["wpe"][position])

    def block(self, x: Vector[Number], layer: int, cache: KVCache[Number]) -> Vector[Number]:
        """Add the outputs of attention and MLP to x, the residual stream: (C) -> (C)."""
        x = add(x, self.attention(rmsnorm(x), layer, cache))
        return add(x, self.mlp(rmsnorm(x), layer))

    def logits(self, x: Vector[Number]) -> Vector[Number]:
        """Return the logits: (C) -> (V). A larger norm of x gives a more confident prediction."""
        return linear(x, self.weights["lm_head"])

    def query_or_key(self, x: Vector[Number], matrix: str) -> Vector[Number]:
        """Return a token's query (what it looks for) or key (what it offers): (C) -> (C)."""
        return linear(x, self.weights[matrix])

    def attention(self, x: Vector[Number], layer: int, cache: KVCache[Number]) -> Vector[Number]:
        """Apply causal multi-head attention over the tokens so far: (C) -> (C)."""
        (keys, values), head_dim = cache[layer], self.config.head_dim
        query = self.query_or_key(x, f"layer{layer}.attn_wq")
        keys.append(self.query_or_key(x, f"layer{layer}.attn_wk"))
        values.append(linear(x, self.weights[f"layer{layer}.attn_wv"]))
        out: Vector[Number] = []
        for start in range(0, self.config.n_embd, head_dim):  # heads can attend to different tokens
            head = slice(start, start + head_dim)  # dimensions of this head
            attn_weights = self.attention_weights(query[head], [key[head] for key in keys])  # (T)
            for i in range(start, start + head_dim):  # weighted mean of the value vectors
                out.append(dot(attn_weights, [value[i] for value in values]))
        return linear(out, self.weights[f"layer{layer}.attn_wo"])  # mixes the heads' outputs

    def attention_weights(self, query: Vector[Number], keys: Matrix[Number]) -> Vector[Number]:
        """Return a head's attention weights, which sum to 1, for the tokens so far: (T)."""
        # Dividing by sqrt(head_dim) avoids large dot products, at which softmax has no gradient.
        return softmax([dot(query, key) / self.config.head_dim**0.5 for key in keys])

    def mlp(self, x: Vector[Number], layer: int) -> Vector[Number]:
        """Apply the MLP: (C) -> (C). Without ReLU, its two matrices would act as a single one."""
        hidden = linear(x, self.weights[f"layer{layer}.mlp_fc1"])  # (n_ff_exp * C)
        return linear([relu(h) for h in hidden], self.weights[f"layer{layer}.mlp_fc2"])


def add(a: Sequence[Number], b: Sequence[Number]) -> Vector[Number]:
    """Return the elementwise sum a + b."""
    return [x + y for x, y in zip(a, b, strict=True)]


def linear(x: Sequence[Number], w: Matrix[Number]) -> Vector[Number]:  # (n), (m, n) -> (m)
    """Return the matrix-vector product w x."""
    return [dot(row, x) for row in w]


def rmsnorm(x: Sequence[Number]) -> Vector[Number]:  # Zhang & Sennrich 2019
    """Return x scaled to a root mean square of 1, so that layer inputs have equal norms."""
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5  # 1e-5 avoids division by zero
    return [xi * scale for xi in x]


def softmax(logits: Sequence[Number]) -> Vector[Number]:
    """Return exp(logits) normalized to sum to 1."""
    largest = max(map(float, logits))  # subtracting the maximum cancels out and prevents overflow
    exps = [exp(logit - largest) for logit in logits]
    norm = total(exps)
    return [e / norm for e in exps]


def cross_entropy(logits: Sequence[Number], target: int) -> Number:
    """Return -log(softmax(logits)[target]) in nats, computed by log-sum-exp to avoid underflow."""
    largest = max(map(float, logits))
    return log(total(exp(logit - largest) for logit in logits)) - (logits[target] - largest)
