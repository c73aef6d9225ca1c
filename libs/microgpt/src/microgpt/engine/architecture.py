"""Settings of a model's architecture for the compiled kernels; see `microgpt.model_variants`.

Layout: the tables of rotary positions are in columns to train and in rows to decode, with a column
or row per position. See docs/performance.md#a-step. Shapes: C = n_embd, D = head_dim,
T = block_size.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from microgpt.config import ModelConfig
from microgpt.engine.processor import lanes_of
from microgpt.engine.weights import Array, aligned_zeros, padded
from microgpt.model_variants import QK_SCALE, angles

MIN_POSITIONS = 1024  # minimum size of the tables, if the context is not smaller


class Architecture(NamedTuple):
    """Architecture settings in the types that the compiled kernels require.

    The arrays are empty if the positions are learned.
    """

    n_head: int
    attention_scale: float  # scale factor of the attention scores
    shift: int  # C // 2, see `GptVariant`; -1 without token shift
    is_squared: bool  # whether the activation is squared ReLU
    qk_norm: bool
    final_norm: bool
    rotation: Array  # (D, up to T), cosine and sine for each pair of dimensions, for `rotate`
    row_rotation: Array  # (2, up to T, 2 C), cosines and signed sines, for `adjust_row`


def architecture_bytes(model: ModelConfig, dtype: str) -> int:
    """Return the approximate memory use of the tables of rotary positions, in bytes."""
    n = model.block_size if model.positions == "rotary" else 0
    return n * (model.head_dim + 4 * model.n_embd) * np.dtype(dtype).itemsize


def architecture_of(model: ModelConfig, dtype: str, n_positions: int | None = None) -> Architecture:
    """Return the kernel settings of a model; the result is cached and must not be modified.

    Rotary positions are tabulated at least up to n_positions, by default all.
    """
    n = model.block_size if model.positions == "rotary" else 0
    if n_positions is not None:
        n = min(n, max(MIN_POSITIONS, 2 ** (n_positions - 1).bit_length()))
    latest = _latest(model, dtype)
    found = latest.get("architecture")
    if found is None or found.row_rotation.shape[1] < n:
        found = latest["architecture"] = _architecture(model, dtype, n)
    return found


@lru_cache(maxsize=16)
def _latest(model: ModelConfig, dtype: str) -> dict[str, Architecture]:
    """Return a mapping with the largest tables of a model, once they have been computed."""
    return {}


def _architecture(model: ModelConfig, dtype: str, n: int) -> Architecture:
    scale = QK_SCALE**2 if model.qk_norm else 1.0
    D, width = model.head_dim, 2 * model.n_embd
    turns = np.outer(np.arange(n), angles(model, 1))
    cosine, sine = np.cos(turns), np.sin(turns)
    columns = aligned_zeros((D if n else 0, padded(n, dtype) + lanes_of(dtype)), dtype)
    rows = aligned_zeros((2, n, padded(width, dtype)), dtype)
    rows[0] = 1  # the padding overlaps the values in qkv, which are not rotated
    if n:
        columns[::2, :n], columns[1::2, :n] = cosine.T, sine.T
        for start in range(0, width, 2):
            pair = start % D // 2
            rows[0, :, start] = rows[0, :, start + 1] = cosine[:, pair]
            rows[1, :, start], rows[1, :, start + 1] = -sine[:, pair], sine[:, pair]
    return Architecture(
        n_head=int(model.n_head),
        attention_scale=scale / math.sqrt(D),
        shift=model.n_embd // 2 if model.token_shift else -1,
        is_squared=model.activation == "relu2",
        qk_norm=bool(model.qk_norm),
        final_norm=bool(model.final_norm),
        rotation=columns,
        row_rotation=rows,
    )
