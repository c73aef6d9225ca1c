"""The architectures, selected by `architecture` in `ModelConfig`, and dropout.

    karpathy  the model of Karpathy's microgpt.py; see `model`
    modern    - rotary positions (Su et al. 2021): queries and keys are rotated by an angle
                proportional to the position, so dot products depend on relative positions
              - squared ReLU in the MLP (So et al. 2021)
              - RMSNorm of the queries and keys of each head (Dehghani et al. 2023), and before the
                projection to logits
              - initial weights of attn_wo and mlp_fc2 times OUT_SCALE, so blocks initially change
                the residual stream only a little (Radford et al. 2019)
              - token shift: the first half of the input of each MLP comes from the previous token
                (after Peng et al. 2023, RWKV); the embedding of a token also includes that of the
                previous token, whose halves are swapped so that the two remain distinguishable
    portable  modern without token shift, so that llama.cpp and transformers can run the model

In training, dropout (Srivastava et al. 2014) applies a mask at several sites in the model. The mask
is a hash of the seed, the document, the token position and the site. It is stateless, so all
engines, threads and resumed runs use the same mask. SplitMix64 (Steele, Lea & Flood 2014) hashes
document and position to a key. Wellons' "lowbias32" (2018) hashes key and site to a random number
with 32-bit multiplications, which vector units support.
"""

import math
import random
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self, get_args

from microgpt.config import Architecture, TrainConfig
from microgpt.model import Gpt, KVCache, Vector, add, init_weights, linear, rmsnorm
from microgpt.model_config import ModelConfig
from microgpt.value import Number, relu

Drop = Callable[[Vector[Number], int, int], Vector[Number]]  # see `Dropout`

OUTPUTS = ("attn_wo", "mlp_fc2")  # matrices whose output is added to the residual stream
OUT_SCALE = 0.1
ROTARY_BASE = 10_000.0  # base of the rotation angles in Su et al. 2021
QK_SCALE = 1.2  # root mean square of normalized queries and keys; with 1, attention is too uniform
GOLDEN_64, GOLDEN_32 = 0x9E3779B97F4A7C15, 0x9E3779B9  # 2**64, 2**32 divided by the golden ratio
# Hash rounds (shift, multiplier): x = (x ^ x >> shift) * multiplier.
ROUNDS_64 = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
ROUNDS_32 = ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1))


class GptVariant(Gpt[Number]):
    """A GPT with the architecture that its `ModelConfig` selects, and with dropout."""

    architectures = get_args(Architecture)
    drop: Drop[Number] | None = None  # (vector, token position, site) -> vector with dropout
    cache: KVCache[Number]  # cache of the sequence that is being read
    position: int  # position of the token that is being read

    def with_dropout(self, drop: Drop[Number]) -> Self:
        """Return a model that has the same weights and applies dropout."""
        dropping = copy(self)
        dropping.drop = drop
        return dropping

    def new_cache(self) -> KVCache[Number]:
        """Return an empty KV cache, with an extra entry for embeddings and inputs of the MLPs."""
        cache = Gpt.new_cache(self)
        cache.append(([], []))
        return cache

    def forward(self, token: int, cache: KVCache[Number]) -> Vector[Number]:
        """Add a token to the cache; return the next token's logits."""
        reading = copy(self)  # threads share the model, so the state of a sequence is in a copy
        reading.cache, reading.position = cache, len(cache[0][0])
        return Gpt.forward(reading, token, cache)

    def embedding(self, token: int, position: int) -> Vector[Number]:
        """Return a token embedding plus that of its position (karpathy) or predecessor (modern)."""
        if self.config.is_karpathys:
            return Gpt.embedding(self, token, position)
        embeddings, _ = self.cache[self.config.n_layer]
        embeddings.append(list(self.weights["wte"][token]))
        x = embeddings[-1]
        if self.config.architecture == "modern" and len(embeddings) > 1:
            half = self.config.n_embd // 2
            x = add(x, embeddings[-2][-half:] + embeddings[-2][:-half])
        return x

    def block(self, x: Vector[Number], layer: int, cache: KVCache[Number]) -> Vector[Number]:
        """Apply one layer; the first one begins with dropout: (C) -> (C)."""
        return Gpt.block(self, x if layer else self.dropped(x, site=0), layer, cache)

    def query_or_key(self, x: Vector[Number], matrix: str) -> Vector[Number]:
        """Return the query or key of a token, normalized and rotated except for `karpathy`."""
        x, D = Gpt.query_or_key(self, x, matrix), self.config.head_dim
        if self.config.is_karpathys:
            return x
        heads = [rmsnorm(x[start : start + D]) for start in range(0, len(x), D)]
        x = [QK_SCALE * xi for head in heads for xi in head]
        return rotate(x, angles(self.config, self.position))

    def attention(self, x: Vector[Number], layer: int, cache: KVCache[Number]) -> Vector[Number]:
        """Apply causal multi-head attention and dropout: (C) -> (C)."""
        return self.dropped(Gpt.attention(self, x, layer, cache), site=2 * layer + 1)

    def mlp(self, x: Vector[Number], layer: int) -> Vector[Number]:
        """Apply the MLP with the activation of the architecture, and dropout: (C) -> (C)."""
        if self.config.architecture == "modern":
            n_layer, half = self.config.n_layer, self.config.n_embd // 2
            _, inputs = self.cache[n_layer]  # MLP inputs of all layers and tokens so far
            inputs.append(x)
            is_first = len(inputs) <= n_layer
            previous = [0 * xi for xi in x] if is_first else inputs[-1 - n_layer]
            x = previous[:half] + x[half:]
        if self.config.is_karpathys:
            out = Gpt.mlp(self, x, layer)
        else:
            hidden = map(relu, linear(x, self.weights[f"layer{layer}.mlp_fc1"]))
            out = linear([h * h for h in hidden], self.weights[f"layer{layer}.mlp_fc2"])
        return self.dropped(out, site=2 * layer + 2)

    def logits(self, x: Vector[Number]) -> Vector[Number]:
        """Project the last vector to logits, after RMSNorm except for `karpathy`: (C) -> (V)."""
        return Gpt.logits(self, x if self.config.is_karpathys else rmsnorm(x))

    def dropped(self, x: Vector[Number], site: int) -> Vector[Number]:
        """Apply dropout, if enabled, to a vector; each `site` in the model has its own mask."""
        return self.drop(x, self.position, site) if self.drop else x


def gpt_type(config: ModelConfig) -> type[Gpt[Any]]:
    """Return the class of a model: `Gpt` for Karpathy's architecture, else `GptVariant`."""
    return Gpt if config.is_karpathys else GptVariant


def init_variant(config: ModelConfig, rng: random.Random) -> dict[str, list[list[float]]]:
    """Return Gaussian initial weights; attn_wo and mlp_fc2 are scaled except for `karpathy`."""
    weights = init_weights(config, rng)
    for name in weights:
        if name.endswith(OUTPUTS) and not config.is_karpathys:
            weights[name] = [[OUT_SCALE * x for x in row] for row in weights[name]]
    return weights


def angles(config: ModelConfig, position: int) -> list[float]:
    """Return the rotation angle of each pair of dimensions in a head, in radians."""
    D = config.head_dim
    return [position * ROTARY_BASE ** (-i / D) for i in range(0, D, 2)]


def rotate(x: Vector[Number], angles: Sequence[float]) -> Vector[Number]:
    """Return x with each pair of adjacent numbers rotated; the angles repeat for each head."""
    rotated: Vector[Number] = []
    for i in range(0, len(x), 2):
        angle = angles[i // 2 % len(angles)]
        cosine, sine = math.cos(angle), math.sin(angle)
        rotated.append(x[i] * cosine - x[i + 1] * sine)
        rotated.append(x[i] * sine + x[i + 1] * cosine)
    return rotated


class Dropout:
    """Dropout for one document: zero each element with probability `rate` and scale the others."""

    def __init__(self, rate: float, seed: int, n_read: int) -> None:
        """Derive the mask from the seed and the number of documents processed before."""
        self._rate = rate
        self._of_doc = _mixed(seed + GOLDEN_64 * (n_read + 1), ROUNDS_64, 64)

    def __call__(self, x: list[Number], position: int, site: int, /) -> list[Number]:
        """Apply dropout to a vector at a token position; `site` numbers the places with dropout."""
        if not self._rate:
            return x
        key = _mixed(self._of_doc + GOLDEN_64 * (position + 1), ROUNDS_64, 64) >> 32
        threshold, scale = int(self._rate * 2**32), 1 / (1 - self._rate)
        return [
            xi * (scale if _mixed(key + GOLDEN_32 * unit, ROUNDS_32, 32) >= threshold else 0.0)
            for unit, xi in enumerate(x, start=site * len(x))
        ]


def batch_dropout(config: TrainConfig, step: int) -> list[Dropout]:
    """Return a `Dropout` for each document of a step, or an empty list if dropout is 0."""
    first = step * config.batch_size
    if not config.dropout:
        return []
    return [Dropout(config.dropout, config.seed, first + i) for i in range(config.batch_size)]


def _mixed(x: int, rounds: Sequence[tuple[int, int]], n_bits: int) -> int:
    """Return a hash of x that has n_bits bits, each of which depends on all bits of x."""
    x %= 2**n_bits
    for shift, factor in rounds:
        x = (x ^ x >> shift) * factor % 2**n_bits
    return x
