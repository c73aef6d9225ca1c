"""Muon (Jordan et al. 2024): momentum with orthogonal updates of weight matrices.

The change of a matrix in a transformer block is the running mean of its gradients, made orthogonal,
so that all its directions change by the same amount. AdamW updates the embeddings and the
projection to logits.
"""

from math import sqrt

from microgpt.config import MUON_LR_RATIO, MUON_MOMENTUM
from microgpt.model import weight_shapes
from microgpt.newton_schulz import orthogonalized
from microgpt.reference import ReferenceEngine


class MuonEngine(ReferenceEngine):
    """A model whose blocks are trained with Muon; `adam_m` also has the running means of Muon."""

    def update(self, lr: float) -> None:
        """Update the weights with one step."""
        before = [param.data for param in self.params]
        m, v = self.adam_m.copy(), self.adam_v.copy()
        super().update(lr)
        start, lr = 0, lr * MUON_LR_RATIO
        for name, (n_rows, n_columns) in weight_shapes(self.gpt.config).items():
            end = start + n_rows * n_columns
            if name.startswith("layer"):
                grads = [param.grad for param in self.params[start:end]]
                means = _mixed(m[start:end], grads)
                self.adam_m[start:end], self.adam_v[start:end] = means, v[start:end]
                ahead = _mixed(means, grads)  # the next mean for the same gradients (Nesterov)
                rows = [ahead[i : i + n_columns] for i in range(0, len(ahead), n_columns)]
                change = [number for row in orthogonalized(rows) for number in row]
                scale = lr * sqrt(max(1, n_rows / n_columns))
                for i, number in enumerate(change, start):
                    kept = (1 - lr * self.weight_decay) * before[i]
                    self.params[i].data = kept - scale * number
            start = end


def _mixed(means: list[float], grads: list[float]) -> list[float]:
    """Return the running means updated with new gradients."""
    share = MUON_MOMENTUM
    return [share * m + (1 - share) * grad for m, grad in zip(means, grads, strict=True)]
