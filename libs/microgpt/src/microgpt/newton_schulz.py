"""Orthogonalize a matrix with Newton-Schulz iterations, for the Muon optimizer."""

from collections.abc import Sequence
from math import sqrt

from microgpt.value import dot

# Each iteration maps every singular value x to a x + b x**3 + c x**5. Five iterations map the
# interval [0.001, 1] to about [0.7, 1.2] (Jordan et al. 2024, "Muon").
COEFFICIENTS, N_ITERATIONS = (3.4445, -4.7750, 2.0315), 5
NORM_EPS = 1e-7  # avoids division by zero

Matrix = Sequence[Sequence[float]]


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
