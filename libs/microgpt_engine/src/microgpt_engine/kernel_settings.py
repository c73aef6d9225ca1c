"""Convert the settings of a model and of a training run to named tuples for kernels.

A tuple has every field of `ModelConfig` or `TrainConfig` that is a number or a flag. A field whose
type is a Literal becomes one flag per value, such as `modern`. New fields are included
automatically. The tables of rotary positions have a column per position for training and a row per
position for decoding. See docs/engine.md#a-step. Shapes: C = n_embd, D = head_dim, T = block_size.
"""

from collections import namedtuple
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from microgpt import ModelConfig, TrainConfig, angles
from microgpt_engine.simd import lanes_of
from microgpt_engine.weight_layout import aligned_zeros, padded

MIN_POSITIONS = 1024  # minimum number of positions in the tables, unless the context is shorter
Settings = Any  # in a kernel: a named tuple from `model_settings` or `train_settings`


def kinds_of(config: type) -> dict[str, str]:
    """Map the name of each number in a kernel's settings to its kind.

    The kind is "int", "float" or "bool". The kind of a flag that stands for one value of a Literal
    field is the name of that field.
    """
    kinds: dict[str, str] = {}
    for name, kind in get_type_hints(config).items():
        if kind in (int, float, bool):
            kinds[name] = kind.__name__
        elif get_origin(kind) is Literal:
            kinds |= dict.fromkeys(get_args(kind), name)
    return kinds


# Exported pages contain KINDS, so that their JavaScript can build the same tuples.
KINDS = {"model": kinds_of(ModelConfig), "config": kinds_of(TrainConfig)}
_make_tuple: Any = namedtuple  # typed as Any, because mypy requires literal field names
_ModelSettings = _make_tuple("_ModelSettings", [*KINDS["model"], "rotation", "row_rotation"])
_TrainSettings = _make_tuple("_TrainSettings", KINDS["config"])


def model_settings(model: ModelConfig, dtype: str, n_positions: int | None = None) -> Settings:
    """Return the settings of a model for kernels; the result is cached and must not be modified.

    The last two fields are tables of rotary positions: `rotation` is (D, T), the cosine and sine of
    each pair of dimensions, for `rotate`; `row_rotation` is (2, T, 2 C), cosines and signed sines,
    for `adjust_row`. The tables cover at least n_positions positions (default: all); they are empty
    if the positions are learned.
    """
    n = model.block_size if not model.is_karpathys else 0
    if n_positions is not None:
        n = min(n, max(MIN_POSITIONS, 2 ** (n_positions - 1).bit_length()))
    return _with_tables(model, dtype, n)


@lru_cache(maxsize=16)
def _with_tables(model: ModelConfig, dtype: str, n: int) -> Settings:
    """Return the settings of a model with tables of n rotary positions."""
    D, width = model.head_dim, 2 * model.n_embd
    turns = np.outer(np.arange(n), angles(model, 1))
    cosine, sine = np.cos(turns), np.sin(turns)
    columns = aligned_zeros((D if n else 0, padded(n, dtype) + lanes_of(dtype)), dtype)
    rows = aligned_zeros((2, n, padded(width, dtype)), dtype)
    rows[0] = 1  # the padding overlaps the values in qkv, which a cosine of 1 leaves unchanged
    if n:
        columns[::2, :n], columns[1::2, :n] = cosine.T, sine.T
        cosines, sines = (np.tile(each, width // D) for each in (cosine, sine))
        rows[0, :, :width:2] = rows[0, :, 1:width:2] = cosines
        rows[1, :, :width:2], rows[1, :, 1:width:2] = -sines, sines
    return _ModelSettings(*_numbers(model, KINDS["model"]), columns, rows)


def train_settings(config: TrainConfig) -> Settings:
    """Return the settings of a training run for kernels."""
    return _TrainSettings(*_numbers(config, KINDS["config"]))


def _numbers(config: ModelConfig | TrainConfig, kinds: dict[str, str]) -> list[float]:
    types = {"int": int, "float": float, "bool": bool}
    return [
        types[kind](getattr(config, name)) if kind in types else getattr(config, kind) == name
        for name, kind in kinds.items()
    ]
