"""Training step in plain Python: loss and gradients of a batch, and an AdamW update.

The results match those of Karpathy's script, and the compiled engine must reproduce them.
"""

import math
from collections.abc import Iterator, Sequence

from microgpt.model import Drop, Gpt, Weights, cross_entropy, keep_all, weight_shapes
from microgpt.model_config import ModelConfig
from microgpt.value import Number, Value, total

Tokens = Sequence[int]
Batch = Sequence[Tokens]
Target = int | Sequence[float] | None  # a token, the probability of each token, or no target
Targets = Sequence[Sequence[Target]]  # the targets of the documents of a batch
Drops = Sequence[Drop[Value]]


class ReferenceEngine:
    """A model being trained and its AdamW optimizer (Loshchilov & Hutter 2019)."""

    def __init__(
        self,
        model: ModelConfig,
        weights: Weights[float],
        beta1: float = 0.85,  # decay rate of the running mean of the gradients
        beta2: float = 0.99,  # decay rate of the running mean of the squared gradients
        eps: float = 1e-8,  # avoids division by zero
        weight_decay: float = 0.0,  # AdamW weight decay, multiplied by the learning rate
        gpt_type: type[Gpt[Value]] = Gpt,
    ) -> None:
        values = {name: [[Value(w) for w in row] for row in rows] for name, rows in weights.items()}
        self.gpt = gpt_type(model, values)
        self.params = [w for name in weight_shapes(model) for row in values[name] for w in row]
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.n_steps = 0  # number of weight updates so far
        self.adam_m = [0.0] * len(self.params)  # running mean of each gradient
        self.adam_v = [0.0] * len(self.params)  # running mean of each squared gradient

    def step(self, batch: Batch, lr: float) -> float:
        """Update the weights, unless the loss is NaN, and return the loss before the update."""
        *_, loss = self.backward(batch)
        if not math.isnan(loss):
            self.update(lr)
        return loss

    def backward(self, batch: Batch, targets: Targets = (), drops: Drops = ()) -> Iterator[float]:
        """Compute the gradients; after each document, yield the loss of the batch so far in nats.

        This is a generator so that training can be interrupted within a step.
        The last loss is the mean over the targets, or NaN if a loss or gradient is not finite.

        Args:
            batch: documents of 2 or more tokens each; tokens beyond block_size are ignored.
            targets: targets of each document; by default, the next tokens.
            drops: dropout function of each document; by default, no dropout.
        """
        for param in self.params:
            param.grad = 0.0
        size, drops = self.gpt.config.block_size, drops or [keep_all] * len(batch)
        targets = [wanted[:size] for wanted in targets or [doc[1:] for doc in batch]]
        n_targets, loss = sum(len(wanted) - wanted.count(None) for wanted in targets), 0.0
        for i, (doc, wanted, drop) in enumerate(zip(batch, targets, drops, strict=True), start=1):
            if len(wanted) > wanted.count(None):
                doc_loss = (1 / n_targets) * document_loss(self.gpt, doc[: size + 1], wanted, drop)
                doc_loss.backward()  # gradients accumulate; the graph of each document is freed
                loss += doc_loss.data
            is_last = i == len(batch)
            if is_last and not all(map(math.isfinite, [loss, *(p.grad for p in self.params)])):
                loss = math.nan
            yield loss

    def update(self, lr: float) -> None:
        """Update the weights with one AdamW step."""
        self.n_steps += 1
        m_bias = 1 - self.beta1**self.n_steps  # bias correction: the running means start at 0
        v_bias = 1 - self.beta2**self.n_steps
        beta1, beta2, m, v = self.beta1, self.beta2, self.adam_m, self.adam_v
        for i, param in enumerate(self.params):
            m[i] = beta1 * m[i] + (1 - beta1) * param.grad
            v[i] = beta2 * v[i] + (1 - beta2) * param.grad * param.grad
            param.data *= 1 - lr * self.weight_decay
            param.data -= lr * (m[i] / m_bias) / (math.sqrt(v[i] / v_bias) + self.eps)


def document_loss(
    gpt: Gpt[Number], tokens: Tokens, targets: Sequence[Target] = (), drop: Drop[Number] = keep_all
) -> Number:
    """Return the summed cross-entropy in nats of the targets; by default, those are tokens[1:]."""
    cache = gpt.new_cache()
    logits = [gpt.forward(token, cache, drop) for token in tokens[:-1]]
    pairs = zip(logits, targets or tokens[1:], strict=True)
    return total(cross_entropy(x, target) for x, target in pairs if target is not None)
