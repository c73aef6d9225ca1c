"""Training step in plain Python: the loss of a batch, its gradients, and an AdamW update.

The results match those of Karpathy's script, and the compiled engine must reproduce them.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from microgpt.model import Gpt, Weights, cross_entropy, weight_shapes
from microgpt.model_config import ModelConfig
from microgpt.value import Number, Value, total

Tokens = Sequence[int]
Batch = Sequence[Tokens]


def document_loss(gpt: Gpt[Number], tokens: Tokens) -> Number:
    """Return the summed cross-entropy, in nats, of all tokens after the first."""
    cache = gpt.new_cache()
    predictions = [(gpt.forward(token, cache), target) for token, target in pairwise(tokens)]
    return total(cross_entropy(logits, target) for logits, target in predictions)


class ReferenceEngine:
    """A model in training, with its AdamW optimizer (Loshchilov & Hutter 2019)."""

    def __init__(
        self,
        model: ModelConfig,
        weights: Weights[float],
        beta1: float = 0.85,  # decay rate of the running mean of the gradients
        beta2: float = 0.99,  # decay rate of the running mean of the squared gradients
        eps: float = 1e-8,  # avoids division by zero
        weight_decay: float = 0.0,  # AdamW weight decay; each step multiplies it by lr
        gpt_type: type[Gpt[Value]] = Gpt,  # model class; `GptVariant` has other architectures
    ) -> None:
        values = {name: [[Value(w) for w in row] for row in rows] for name, rows in weights.items()}
        self.gpt = gpt_type(model, values)
        self.params = [w for name in weight_shapes(model) for row in values[name] for w in row]
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.n_steps = 0  # number of weight updates so far
        self.adam_m = [0.0] * len(self.params)  # running mean of each gradient
        self.adam_v = [0.0] * len(self.params)  # running mean of each squared gradient

    def step(self, batch: Batch, lr: float) -> float:
        """Update the weights, and return the loss before the update, in nats per token."""
        loss = self.backward(batch)
        self.update(lr)
        return loss

    def backward(self, batch: Batch) -> float:
        """Compute the gradients of the mean loss per predicted token; return that loss in nats.

        Tokens after the first block_size + 1 of a document are ignored; split longer documents.
        """
        batch = [tokens[: self.gpt.config.block_size + 1] for tokens in batch]
        n_targets, loss = sum(len(tokens) - 1 for tokens in batch), 0.0
        self.zero_grad()
        for tokens in batch:
            share = (1 / n_targets) * document_loss(self.gpt, tokens)
            share.backward()  # gradients accumulate, so each document's graph can be freed
            loss += share.data
        return loss

    def zero_grad(self) -> None:
        """Set all gradients to 0, because `Value.backward` adds to them."""
        for param in self.params:
            param.grad = 0.0

    def update(self, lr: float) -> None:
        """Update the weights with one AdamW step."""
        self.n_steps += 1
        m_bias = 1 - self.beta1**self.n_steps  # corrects the bias of the means towards 0
        v_bias = 1 - self.beta2**self.n_steps
        beta1, beta2, m, v = self.beta1, self.beta2, self.adam_m, self.adam_v
        for i, param in enumerate(self.params):
            m[i] = beta1 * m[i] + (1 - beta1) * param.grad
            v[i] = beta2 * v[i] + (1 - beta2) * param.grad * param.grad
            param.data *= 1 - lr * self.weight_decay  # weight decay reduces overfitting
            param.data -= lr * (m[i] / m_bias) / (math.sqrt(v[i] / v_bias) + self.eps)
