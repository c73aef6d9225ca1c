"""An Elman network of `Value`s (Elman 1990), with the tanh of Karpathy's min-char-rnn.

It reads one token at a time. Its only memory of the text is a vector, which each token changes.
`fast_elman` computes the same on arrays. Shapes: H = numbers in the memory, V = vocab_size.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Generic

from microgpt import Number, Weights, cross_entropy, exp, linear, total


def elman_shapes(n_hidden: int, vocab_size: int) -> dict[str, tuple[int, int]]:
    """Return the name and shape of each weight matrix."""
    return {
        "input": (vocab_size, n_hidden),  # what a token adds to the memory
        "memory": (n_hidden, n_hidden),  # what the memory keeps of itself
        "bias": (1, n_hidden),
        "output": (vocab_size, n_hidden),  # projection from the memory to logits
    }


class Elman(Generic[Number]):
    """An Elman network of `Value`s (gradients) or floats."""

    def __init__(self, weights: Weights[Number]) -> None:
        self.weights = weights

    def forward(self, token: int, memory: list[Number]) -> list[Number]:
        """Read a token and return the new memory: (H) -> (H)."""
        kept, bias = linear(memory, self.weights["memory"]), self.weights["bias"][0]
        added = self.weights["input"][token]
        return [tanh(x + a + b) for x, a, b in zip(kept, added, bias, strict=True)]

    def logits(self, memory: list[Number]) -> list[Number]:
        """Return the logits of the next token: (H) -> (V)."""
        return linear(memory, self.weights["output"])

    def loss(self, tokens: Sequence[int]) -> Number:
        """Return the summed cross-entropy, in nats, of each token after the first."""
        losses, memory = list[Number](), [0 * x for x in self.weights["bias"][0]]
        for token, target in pairwise(tokens):
            memory = self.forward(token, memory)
            losses.append(cross_entropy(self.logits(memory), target))
        return total(losses)


def tanh(x: Number) -> Number:
    """Return the hyperbolic tangent of x, which is between -1 and 1."""
    return 2 / (1 + exp(-2 * x)) - 1
