"""All weights of a model in a row, in the order of `weight_shapes`, and back by name."""

from collections.abc import Sequence
from typing import Protocol

from microgpt.config import ModelConfig
from microgpt.model import weight_shapes

# Memory that the result of a training takes per weight: the weight and Adam's two means as Python
# floats, and the text of weights.json.
RESULT_BYTES_PER_WEIGHT = 120


class Numbers(Protocol):
    """A number for each weight, in the order of `weight_shapes`: an array of numpy or of Python."""

    def __len__(self) -> int: ...

    def tolist(self) -> list[float]:
        """Return them as Python floats."""


def by_name(
    config: ModelConfig, numbers: Sequence[float]
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Return the matrices whose numbers stand one after another."""
    matrices, start = {}, 0
    for name, (rows, columns) in weight_shapes(config).items():
        end = start + rows * columns
        matrices[name] = tuple(tuple(numbers[i : i + columns]) for i in range(start, end, columns))
        start = end
    return matrices
