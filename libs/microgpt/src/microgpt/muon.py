"""Muon (Jordan et al. 2024): momentum with orthogonalized updates of weight matrices.

The update of each matrix in a transformer block is the orthogonalized momentum, which changes all
directions of the matrix by about the same amount. AdamW updates the embeddings and lm_head.
"""

from collections.abc import Sequence
from math import sqrt

from microgpt.config import MUON_LR_RATIO
from microgpt.model import weight_shapes
from microgpt.reference import ReferenceEngine
from microgpt.value import dot

MUON_MOMENTUM = 0.95
# Each Newton-Schulz iteration maps every singular value x to a x + b x**3 + c x**5. Five iterations
# map the interval [0.001, 1] to about [0.7, 1.2].
COEFFICIENTS, N_ITERATIONS = (3.4445, -4.7750, 2.0315), 5
NORM_EPS = 1e-7  # avoids division by zero

Matrix = Sequence[Sequence[float]]


class MuonEngine(ReferenceEngine):
    """A model whose blocks are trained with Muon; `adam_m` also holds the momentum of Muon."""

    def update(self, lr: float) -> None:
        """Update the blocks with one Muon step and the other weights with one AdamW step."""
        before = [param.data for param in self.params]
        m, v = self.adam_m.copy(), self.adam_v.copy()
        super().update(lr)  # updates all weights with AdamW; the loop below overrides the blocks
        start, lr = 0, lr * MUON_LR_RATIO
        for name, (n_rows, n_columns) in weight_shapes(self.gpt.config).items():
            end = start + n_rows * n_columns
            if name.startswith("layer"):
                grads = [param.grad for param in self.params[start:end]]
                means = _running_means(m[start:end], grads)
                self.adam_m[start:end], self.adam_v[start:end] = means, v[start:end]
                ahead = _running_means(means, grads)  # Nesterov momentum: apply the gradients twice
                rows = [ahead[i : i + n_columns] for i in range(0, len(ahead), n_columns)]
                change = [number for row in orthogonalized(rows) for number in row]
                scale = lr * sqrt(max(1, n_rows / n_columns))
                for i, number in enumerate(change, start):
                    kept = (1 - lr * self.weight_decay) * before[i]
                    self.params[i].data = kept - scale * number
            start = end


def _running_means(means: list[float], grads: list[float]) -> list[float]:
    """Return the running means of the gradients, updated with new gradients."""
    share = MUON_MOMENTUM
    return [share * m + (1 - share) * grad for m, grad in zip(means, grads, strict=True)]


def orthogonalized(matrix: Matrix) -> Matrix:
    """Return a matrix with the same singular vectors, but with singular values close to 1."""
    if len(matrix) < len(matrix[0]):  # tall matrices are faster: the Gram matrix is small
        return transposed(orthogonalized(transposed(matrix)))
    norm = sqrt(sum(dot(row, row) for row in matrix)) + NORM_EPS
    x: Matrix = [[number / norm for number in row] for row in matrix]
    a, b, c = COEFFICIENTS
    for _ in range(N_ITERATIONS):
        gram = product(transposed(x), x)
        square = product(gram, gram)
        polynomial = [
            [b * g + c * s + a * (i == j) for j, (g, s) in enumerate(zip(*rows, strict=True))]
            for i, rows in enumerate(zip(gram, square, strict=True))
        ]
        x = product(x, polynomial)
    return x


def product(a: Matrix, b: Matrix) -> Matrix:
    """Return the matrix product a b."""
    columns = transposed(b)
    return [[dot(row, column) for column in columns] for row in a]


def transposed(matrix: Matrix) -> Matrix:
    """Return the transpose of a matrix."""
    return list(zip(*matrix, strict=True))
