"""Count the parameters of a model, its weights; convert flat weights to named matrices."""

from collections.abc import Sequence
from typing import Protocol

from microgpt.config import ModelConfig
from microgpt.model import weight_shapes


class Numbers(Protocol):
    """A flat NumPy or Python array with one number per weight, ordered as in `weight_shapes`."""

    def __len__(self) -> int: ...

    def tolist(self) -> list[float]:
        """Return the numbers as Python floats."""


def count_params(config: ModelConfig) -> int:
    """Return the number of weights of a model."""
    C, block = config.n_embd, (4 + 2 * config.n_ff_exp) * config.n_embd**2
    return (2 * config.vocab_size + config.n_positions) * C + config.n_layer * block


def by_name(
    config: ModelConfig, numbers: Sequence[float]
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Convert flat weights to a mapping from name to matrix."""
    matrices, start = {}, 0
    for name, (rows, columns) in weight_shapes(config).items():
        end = start + rows * columns
        matrices[name] = tuple(tuple(numbers[i : i + columns]) for i in range(start, end, columns))
        start = end
    return matrices
