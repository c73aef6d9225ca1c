"""An Elman network on arrays: the counterpart of `elman`, and its training with Adam.

Documents are read together, the longest first, so that those that go on are the first rows.
Shapes: B = documents, T = tokens of the longest, N = predictions, H = numbers in the memory,
V = vocab_size. Numbers are float32.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt import ChunkedDataset, EvaluationSet, TokenDataset
from microgpt_cli.ladder.elman import elman_shapes

Floats = NDArray[np.float32]
Matrices = dict[str, Floats]

# The settings for a number of operations, and their growth with them. They were fitted to names:
# a smaller network that takes more steps is better, as long as the operations do not suffice.
TYPICAL = 5.6e10
WIDTH, WIDTH_POWER = 90, 0.25
TOKENS, TOKENS_POWER = 260, 0.4  # per step
LR, LR_POWER = 0.01, -0.1
BETA1, BETA2, EPS = 0.9, 0.99, 1e-8
MAX_NORM = 1.0  # longer gradients are shortened, because a recurrent network's can explode
RADIUS = 0.9  # of the initial memory matrix, which is orthogonal, so that gradients last
WARMUP = 30  # the learning rate rises during the first 1/30 of the steps
MAX_EVALUATIONS, EVALUATION_SHARE = 20, 0.05  # as in the training of a GPT


@dataclass(frozen=True)
class Memories:
    """What a network has computed for some documents."""

    inputs: NDArray[np.int64]  # (N): each token that is read, by position and then by document
    targets: NDArray[np.int64]  # (N)
    counts: NDArray[np.bool_]  # (N): whether the prediction counts towards the loss
    n_long: Sequence[int]  # (T): the number of documents that reach each position
    memories: Floats  # (T + 1, B, H), zeros first
    is_real: NDArray[np.bool_]  # (T, B): False after the end of a document
    probabilities: Floats  # (N, V)


class FastElman:
    """An Elman network on arrays."""

    def __init__(self, weights: Mapping[str, Any]) -> None:
        self.weights: Matrices = {n: np.array(rows, np.float32) for n, rows in weights.items()}

    @classmethod
    def drawn(cls, n_hidden: int, vocab_size: int, rng: np.random.Generator) -> "FastElman":
        """Return a network with random weights."""
        shapes = elman_shapes(n_hidden, vocab_size)
        weights = {name: rng.normal(0, 0.1, shape) for name, shape in shapes.items()}
        weights["memory"] = RADIUS * np.linalg.qr(weights["memory"])[0]
        return cls({**weights, "bias": 0 * weights["bias"], "output": weights["output"] / 4})

    def read(self, docs: TokenDataset) -> Memories:
        """Read documents from the beginning, and predict each token after the first."""
        order = sorted(range(len(docs)), key=lambda i: -len(docs[i]))
        lengths = np.array([len(docs[i]) - 1 for i in order])
        T, B, H = int(lengths[0]), len(order), self.weights["bias"].shape[1]
        tokens, counts = np.zeros((T + 1, B), np.int64), np.ones((T + 1, B), bool)
        for column, i in enumerate(order):
            tokens[: len(docs[i]), column] = docs[i]
            if mask := docs.mask_of(i):
                counts[: len(mask), column] = np.frombuffer(mask, bool)
        is_real = np.arange(T)[:, None] < lengths  # (T, B)
        n_long = is_real.sum(1).tolist()
        added, kept = self.weights["input"] + self.weights["bias"], self.weights["memory"].T
        memories = np.zeros((T + 1, B, H), np.float32)
        for t, n in enumerate(n_long):
            memories[t + 1, :n] = np.tanh(memories[t, :n] @ kept + added[tokens[t, :n]])
        logits = memories[1:][is_real] @ self.weights["output"].T  # (N, V)
        exps = np.exp(logits - logits.max(1, keepdims=True))
        probabilities = exps / exps.sum(1, keepdims=True)
        read, targets, mask = tokens[:-1][is_real], tokens[1:][is_real], counts[1:][is_real]
        return Memories(read, targets, mask, n_long, memories, is_real, probabilities)

    def nll(self, docs: TokenDataset) -> float:
        """Return the summed loss of all predictions that count, in nats."""
        found = self.read(docs)
        chosen = found.probabilities[np.arange(len(found.targets)), found.targets]
        return float(-np.log(chosen[found.counts], dtype=np.float64).sum())

    def next_token(self, tokens: Sequence[int]) -> Floats:
        """Return the probabilities of the token after some tokens: (V)."""
        return self.read(TokenDataset([[*tokens, 0]])).probabilities[-1]

    def gradients(self, docs: TokenDataset) -> Matrices:
        """Return the gradients of the mean loss per prediction that counts."""
        found, H = self.read(docs), self.weights["bias"].shape[1]
        T, B = found.is_real.shape
        dlogits = found.probabilities.copy()
        dlogits[np.arange(len(dlogits)), found.targets] -= 1
        dlogits *= found.counts[:, None] / np.float32(max(1, found.counts.sum()))
        dmemories = np.zeros((T, B, H), np.float32)
        dmemories[found.is_real] = dlogits @ self.weights["output"]
        later = np.zeros((B, H), np.float32)  # what the following memories send back
        for t in reversed(range(T)):
            n = found.n_long[t]
            dmemories[t, :n] += later[:n]
            dmemories[t, :n] *= 1 - found.memories[t + 1, :n] ** 2  # now of the sum in tanh
            later[:n] = dmemories[t, :n] @ self.weights["memory"]
        dsums = dmemories[found.is_real]  # (N, H)
        dinput = np.zeros_like(self.weights["input"])
        np.add.at(dinput, found.inputs, dsums)
        return {
            "input": dinput,
            "memory": dsums.T @ found.memories[:-1][found.is_real],
            "bias": dsums.sum(0, keepdims=True),
            "output": dlogits.T @ found.memories[1:][found.is_real],
        }


def operations_per_token(n_hidden: int, vocab_size: int) -> int:
    """Return the operations of training on a token: 6 per weight of a matrix product."""
    return 6 * (n_hidden**2 + vocab_size * n_hidden)


def train_elman(
    chunks: ChunkedDataset, validation: EvaluationSet, operations: float, seed: int
) -> FastElman:
    """Train a network that suits the operations, and return it with its best weights."""
    rng, relative = np.random.default_rng(seed), operations / TYPICAL
    V = chunks.tokenizer.vocab_size
    n_hidden = max(8, round(WIDTH * relative**WIDTH_POWER))
    length = max(1.0, chunks.n_tokens / len(chunks))
    batch_size = min(len(chunks), max(1, round(TOKENS * relative**TOKENS_POWER / length)))
    cost = operations_per_token(n_hidden, V)
    steps = max(1, round(operations / (cost * batch_size * length)))
    evaluations = EVALUATION_SHARE * operations / (cost / 3 * validation.n_tokens)
    interval = steps / max(1, min(MAX_EVALUATIONS, int(evaluations)))
    order = rng.permutation(len(chunks))[: steps * batch_size]
    dataset, model = chunks.encode(order.tolist()), FastElman.drawn(n_hidden, V, rng)
    best, least = model, math.inf
    adam = Adam(model.weights)
    for step in range(steps):
        first = step * batch_size % (len(dataset) - batch_size + 1)
        gradients = model.gradients(dataset[first : first + batch_size])
        rate = LR * relative**LR_POWER * min(1, WARMUP * (step + 1) / steps) * (1 - step / steps)
        adam.update(gradients, rate)
        if (step + 1) // interval > step // interval or step + 1 == steps:
            loss = sum(map(model.nll, validation.portions))
            if loss < least:
                best, least = FastElman(model.weights), loss
    return best


class Adam:
    """Adam (Kingma & Ba 2015), with gradients whose norm is limited."""

    def __init__(self, weights: Matrices) -> None:
        self.weights, self.n_steps = weights, 0
        self.m = {name: np.zeros_like(each) for name, each in weights.items()}
        self.v = {name: np.zeros_like(each) for name, each in weights.items()}

    def update(self, gradients: Matrices, lr: float) -> None:
        """Change the weights in place."""
        self.n_steps += 1
        norm = math.sqrt(sum(float((each**2).sum()) for each in gradients.values()))
        shorter = min(1.0, MAX_NORM / max(norm, EPS))
        m_bias, v_bias = 1 - BETA1**self.n_steps, 1 - BETA2**self.n_steps
        for name, gradient in gradients.items():
            m, v, g = self.m[name], self.v[name], shorter * gradient
            m += (1 - BETA1) * (g - m)
            v += (1 - BETA2) * (g * g - v)
            self.weights[name] -= lr * (m / m_bias) / (np.sqrt(v / v_bias) + EPS)
