"""Manual changes of a trained model: ablation of heads, MLPs and positions; single weights.

All changes are made to the weights, so both engines can run a changed model.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from microgpt.config import check_number
from microgpt.data.tokenizer import Document
from microgpt.errors import ConfigError
from microgpt.model import Weights, weight_shapes
from microgpt.model_config import ModelConfig, check_whole

MOST = 1e30  # largest size of a changed weight, which float32 can represent
Head = tuple[int, int]  # layer and head, both counted from 0
WeightName = tuple[str, int, int]  # matrix, as in `weight_shapes`, row and column


class WeightEdit(NamedTuple):
    """Replaces one weight by `factor * weight + value`; by default, by 0."""

    matrix: str  # name, as in `weight_shapes`
    row: int
    column: int
    value: float = 0.0
    factor: float = 0.0


@dataclass(frozen=True)
class Edits:
    """Parts of a model to switch off or change. Layers, heads and positions count from 0.

    The output of a head or an MLP that is switched off is zero, and so is the embedding of a
    position. Single weights are changed last, in order. Before these changes, the model takes a
    training step on each text of `learn`; see `training_step`. `unfinished` contains the indices of
    the texts whose end does not count.
    """

    without_heads: Sequence[Head] = ()
    without_mlps: Sequence[int] = ()  # layers
    without_positions: Sequence[int] = ()
    weights: Sequence[WeightEdit] = ()
    learn: Sequence[Document] = ()
    unfinished: Collection[int] = ()

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def applied_to(self, config: ModelConfig, weights: Weights[float]) -> Weights[float]:
        """Return changed weights; matrices without a change are shared.

        Raises:
            ConfigError: the model does not have a head, layer, position or weight.
        """
        matrices = {name: [[*row] for row in weights[name]] for name in self.matrices_of(config)}
        D = config.head_dim
        for layer, head in self.without_heads:  # the columns that read its output
            for row in matrices[f"layer{layer}.attn_wo"]:
                row[head * D : (head + 1) * D] = D * [0.0]
        for layer in self.without_mlps:
            for row in matrices[f"layer{layer}.mlp_fc2"]:
                row[:] = len(row) * [0.0]
        for position in self.without_positions:
            matrices["wpe"][position] = config.n_embd * [0.0]
        for name, i, j, value, factor in self.weights:
            number, rule = factor * matrices[name][i][j] + value, f"from -{MOST:g} to {MOST:g}"
            check_number(f"{name}[{i},{j}]", number, rule, lambda number: abs(number) <= MOST)
            matrices[name][i][j] = number
        return {**weights, **{name: tuple(map(tuple, rows)) for name, rows in matrices.items()}}

    def matrices_of(self, config: ModelConfig) -> list[str]:
        """Return the names of the matrices that change.

        Raises:
            ConfigError: see `applied_to`.
        """
        names: dict[str, None] = {}  # a set in order
        for layer, head in self.without_heads:
            check_whole("layer", layer, minimum=0, maximum=config.n_layer - 1)
            check_whole("head", head, minimum=0, maximum=config.n_head - 1)
            names[f"layer{layer}.attn_wo"] = None
        for layer in self.without_mlps:
            check_whole("layer", layer, minimum=0, maximum=config.n_layer - 1)
            names[f"layer{layer}.mlp_fc2"] = None
        shapes = weight_shapes(config)
        for position in self.without_positions:
            if "wpe" not in shapes:
                raise ConfigError("the model has rotary positions, so it has no weights for them")
            check_whole("position", position, minimum=0, maximum=config.n_positions - 1)
            names["wpe"] = None
        for edit in self.weights:
            if edit.matrix not in shapes:
                raise ConfigError(
                    f"the model has no matrix {edit.matrix!r:.40}; it has {', '.join(shapes)}"
                )
            for name, size in zip(("row", "column"), shapes[edit.matrix], strict=True):
                index = getattr(edit, name)
                check_whole(f"{name} of {edit.matrix}", index, minimum=0, maximum=size - 1)
            names[edit.matrix] = None
        return [*names]
