"""One step of training on scalars: the loss of a batch, its gradients, and Adam.

This is the arithmetic of Karpathy's microgpt; the compiled engine must agree with it.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import compress

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.token_dataset import Tokens
from microgpt.dropout import Drop, Dropout, keep_all
from microgpt.model import Gpt, Weights, cross_entropy, weight_shapes
from microgpt.value import Number, Value, total


class ReferenceEngine:
    """A model in training, with the state of its optimizer.

    Attributes:
        n_steps: the updates so far.
        adam_m, adam_v: running means of gradients and their squares, as in `weight_shapes`.
    """

    def __init__(self, model: ModelConfig, config: TrainConfig, weights: Weights[float]) -> None:
        self.config = config
        values = {name: [[Value(w) for w in row] for row in rows] for name, rows in weights.items()}
        self.gpt: Gpt[Value] = Gpt(model, values)
        self.params = [w for name in weight_shapes(model) for row in values[name] for w in row]
        self.n_steps = 0
        self.adam_m = [0.0] * len(self.params)
        self.adam_v = [0.0] * len(self.params)

    def step(self, batch: Sequence[Tokens], lr: float, masks: Sequence[Tokens] = ()) -> float:
        """Update the weights once, unless the loss is nan; return the loss before the update."""
        loss = self.backward(batch, masks)
        if not math.isnan(loss):
            self.update(lr)
        return loss

    def backward(self, batch: Sequence[Tokens], masks: Sequence[Tokens] = ()) -> float:
        """Set the gradients; return the mean loss of a batch in nats, or nan if any is not finite.

        Args:
            batch: documents as tokens, 2 or more each; what lies beyond block_size is not read.
            masks: of each document, 0 for each token that is only read; by default all are learnt.
        """
        *_, loss = self.read(batch, masks)
        return loss

    def read(self, batch: Sequence[Tokens], masks: Sequence[Tokens] = ()) -> Iterator[float]:
        """Do what `backward` does; yield the loss so far after each document."""
        for param in self.params:
            param.grad = 0.0
        size, masks = self.gpt.config.block_size + 1, masks or [[1] * len(doc) for doc in batch]
        docs = [(doc[:size], mask[:size]) for doc, mask in zip(batch, masks, strict=True)]
        n_targets = sum(sum(mask[1:]) for _, mask in docs)
        loss, n_read = 0.0, self.n_steps * self.config.batch_size
        for i, (doc, mask) in enumerate(docs):  # the gradients add up; each graph is freed in turn
            if any(mask[1:]):
                drop = Dropout(self.config.dropout, self.config.seed, n_read + i)
                doc_loss = (1 / n_targets) * document_loss(self.gpt, doc, mask, drop)
                doc_loss.backward()
                loss += doc_loss.data
            is_last = i == len(docs) - 1
            if is_last and not all(map(math.isfinite, [loss, *(p.grad for p in self.params)])):
                loss = math.nan
            yield loss

    def weights(self) -> dict[str, tuple[tuple[float, ...], ...]]:
        """Return a copy of the weights as plain floats."""
        return {
            name: tuple(tuple(w.data for w in row) for row in rows)
            for name, rows in self.gpt.weights.items()
        }

    def update(self, lr: float) -> None:
        """Move each weight against its gradient and towards 0 (AdamW, Loshchilov & Hutter 2019)."""
        beta1, beta2, eps = self.config.beta1, self.config.beta2, self.config.adam_eps
        self.n_steps += 1
        m_bias = 1 - beta1**self.n_steps  # the means start at 0: too small by this factor
        v_bias = 1 - beta2**self.n_steps
        m, v = self.adam_m, self.adam_v
        for i, param in enumerate(self.params):
            grad = param.grad
            m[i] = beta1 * m[i] + (1 - beta1) * grad
            v[i] = beta2 * v[i] + (1 - beta2) * grad * grad
            param.data *= 1 - lr * self.config.weight_decay
            param.data -= lr * (m[i] / m_bias) / (math.sqrt(v[i] / v_bias) + eps)


def document_loss(
    gpt: Gpt[Number], tokens: Tokens, mask: Tokens = (), drop: Drop = keep_all
) -> Number:
    """Return the surprise in nats: the sum over the tokens after the first, but where mask is 0."""
    cache = gpt.new_cache()
    logits = [gpt.forward(token, cache, drop) for token in tokens[:-1]]
    losses = map(cross_entropy, logits, tokens[1:])
    return total(compress(losses, mask[1:]) if mask else losses)
