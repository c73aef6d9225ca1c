"""An Elman network of `Value`s (Elman 1990), with the tanh of Karpathy's min-char-rnn.

It reads one letter at a time. Its only memory is a hidden state, a vector that each letter updates.
`microgpt ladder` compares it with a GPT; microgpt_cli/elman.py computes the same on arrays.
Shapes: H = size of the hidden state, V = vocab_size.

    uv run python examples/elman.py [STEPS]
"""

import random
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Generic

from microgpt import (
    CharTokenizer,
    Number,
    Value,
    Weights,
    bundled,
    cross_entropy,
    exp,
    linear,
    load_text,
    total,
)

H, LR = 24, 0.1


class Elman(Generic[Number]):
    """An Elman network, whose weights are `Value`s (for training) or floats."""

    def __init__(self, weights: Weights[Number]) -> None:
        self.weights = weights  # input (V, H), memory (H, H), bias (1, H), output (V, H)

    def forward(self, token: int, memory: list[Number]) -> list[Number]:
        """Read a token and return the new hidden state: (H) -> (H)."""
        kept, bias = linear(memory, self.weights["memory"]), self.weights["bias"][0]
        added = self.weights["input"][token]
        return [tanh(x + a + b) for x, a, b in zip(kept, added, bias, strict=True)]

    def logits(self, memory: list[Number]) -> list[Number]:
        """Return the logits of the next token: (H) -> (V)."""
        return linear(memory, self.weights["output"])

    def loss(self, tokens: Sequence[int]) -> Number:
        """Return the sum of the cross-entropies, in nats, of the tokens after the first."""
        losses, memory = list[Number](), [0 * x for x in self.weights["bias"][0]]
        for token, target in pairwise(tokens):
            memory = self.forward(token, memory)
            losses.append(cross_entropy(self.logits(memory), target))
        return total(losses)


def tanh(x: Number) -> Number:
    """Return the hyperbolic tangent of x, which is between -1 and 1."""
    return 2 / (1 + exp(-2 * x)) - 1


def main(steps: int) -> None:
    names, rng = load_text(bundled("names.txt")), random.Random(42)
    tokenizer = CharTokenizer.from_documents(names)
    V = tokenizer.vocab_size
    shapes = {"input": (V, H), "memory": (H, H), "bias": (1, H), "output": (V, H)}
    network = Elman({
        name: [[Value(rng.gauss(0, 0.2)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes.items()
    })  # fmt: skip
    params = [w for rows in network.weights.values() for row in rows for w in row]
    for step, name in enumerate(rng.sample(list(names), steps), start=1):
        tokens = tokenizer.encode_document(name)
        loss = network.loss(tokens) / (len(tokens) - 1)
        loss.backward()
        for w in params:
            w.data, w.grad = w.data - LR * w.grad, 0.0
        print(f"step {step:4d} / {steps} | loss {loss.data:.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
