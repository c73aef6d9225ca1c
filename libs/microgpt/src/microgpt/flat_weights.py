"""Convert flat weights, in the order of `weight_shapes`, to named matrices."""

from collections.abc import Sequence
from typing import Protocol

from microgpt.config import ModelConfig
from microgpt.model import weight_shapes

# Bytes of memory per weight in a training result: the weight and Adam's two running means as Python
# floats, and the text of weights.json.
RESULT_BYTES_PER_WEIGHT = 120


class Numbers(Protocol):
    """A flat NumPy or Python array with one number per weight, ordered as in `weight_shapes`."""

    def __len__(self) -> int: ...

    def tolist(self) -> list[float]:
        """Return the numbers as Python floats."""


def by_name(
    config: ModelConfig, numbers: Sequence[float]
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Convert flat numbers to a mapping from matrix names to matrices."""
    matrices, start = {}, 0
    for name, (rows, columns) in weight_shapes(config).items():
        end = start + rows * columns
        matrices[name] = tuple(tuple(numbers[i : i + columns]) for i in range(start, end, columns))
        start = end
    return matrices
