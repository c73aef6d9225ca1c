"""Settings of the architecture and of training steps, in the types that the kernels require.

Layout: the tables of rotary positions have a column per position for training and a row per
position for decoding. See docs/engine.md#a-step. Shapes: C = n_embd, D = head_dim, T =
block_size.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from microgpt import (
    MUON_LR_RATIO,
    MUON_MOMENTUM,
    QK_SCALE,
    ModelConfig,
    TrainConfig,
    angles,
    count_params,
)
from microgpt_engine.processor import lanes_of
from microgpt_engine.weights import Array, aligned_zeros, padded

MIN_POSITIONS = 1024  # minimum size of the tables, if the context is not smaller


class Architecture(NamedTuple):
    """Settings of a model's architecture; see `microgpt.model_variants`.

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


def architecture_of(model: ModelConfig, dtype: str, n_positions: int | None = None) -> Architecture:
    """Return the kernel settings of a model; the result is cached and must not be modified.

    The tables of rotary positions cover at least n_positions positions (default: all).
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
    """Return a cache for the largest tables computed so far for a model."""
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


class StepSettings(NamedTuple):
    """Settings of a training step."""

    architecture: Architecture
    batch_size: int
    dropout: float
    seed: int
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    n_adam_rows: int  # number of rows of the weights that AdamW updates; Muon updates the others
    n_embd: int
    n_layer: int
    n_ff_exp: int
    muon_lr_ratio: float  # see `config.MUON_LR_RATIO`
    muon_momentum: float

    @classmethod
    def of(cls, model: ModelConfig, config: TrainConfig, dtype: str) -> "StepSettings":
        """Return the kernel settings of a training run."""
        n_rows = count_params(model) // model.n_embd
        if config.optimizer == "muon":
            n_rows -= model.n_layer * (4 + 2 * model.n_ff_exp) * model.n_embd
        return cls(
            architecture=architecture_of(model, dtype),
            batch_size=int(config.batch_size),
            dropout=float(config.dropout),
            seed=int(config.seed),
            beta1=float(config.beta1),
            beta2=float(config.beta2),
            # A smaller epsilon could round to 0, and the update of unused weights would be 0 / 0.
            eps=max(float(config.adam_eps), float(np.finfo(dtype).tiny)),
            weight_decay=float(config.weight_decay),
            n_adam_rows=int(n_rows),
            n_embd=int(model.n_embd),
            n_layer=int(model.n_layer),
            n_ff_exp=int(model.n_ff_exp),
            muon_lr_ratio=MUON_LR_RATIO,
            muon_momentum=MUON_MOMENTUM,
        )
