"""Storage of all weights of a model in one array.

In the layout "weights", all matrices are views of one array, so the optimizer is a single loop. The
rows of the array hold n_embd numbers and are zero-padded to whole vectors. The query, key and value
weights share a matrix. mlp_fc2 is transposed, so its rows also hold n_embd numbers. For decoding, a
copy of the matrices is transposed and divided into panels. See docs/engine.md#a-step and #decoding.
Shapes: C = n_embd, V = vocab_size, L = n_layer.
"""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from microgpt import OUT_SCALE, OUTPUTS, Matrix, ModelConfig, Numbers, count_params, weight_shapes
from microgpt_engine import random_numbers
from microgpt_engine.simd import VECTOR_BYTES, lanes_of

Array = NDArray[Any]
Arrays = TypeVar("Arrays")


class Weights(NamedTuple):
    """Weight matrices, or their gradients, in the layout of the training kernels."""

    wte: Array  # (V, C)
    wpe: Array  # (block_size, C), or no rows for rotary positions
    lm_head: Array  # (V, C)
    attn_wqkv: Array  # (L, 3 C, C)
    attn_wo: Array  # (L, C, C)
    mlp_fc1: Array  # (L, n_ff_exp C, C)
    mlp_fc2_t: Array  # (L, n_ff_exp C, C)


class PackedWeights:
    """One number per weight of a model: its value, its gradient or an Adam moment."""

    def __init__(self, model: ModelConfig, dtype: str) -> None:
        V, T, C, L = model.vocab_size, model.n_positions, model.n_embd, model.n_layer
        hidden = model.n_ff_exp * C
        self._model = model
        n_rows = [V, T, V, L * 3 * C, L * C, L * hidden, L * hidden]
        # `array` is (rows, C padded to whole vectors); `matrices` are views of it for the kernels.
        self.array = aligned_zeros((sum(n_rows), padded(C, dtype)), dtype)
        *tables, wqkv, wo, fc1, fc2_t = np.split(self.array[:, :C], np.cumsum(n_rows)[:-1])
        blocks = [matrix.reshape(L, -1, C, copy=False) for matrix in (wqkv, wo, fc1, fc2_t)]
        self.matrices = Weights(*tables, *blocks)

    def by_name(self) -> dict[str, Array]:
        """Return views of the matrices by name, in the order of `weight_shapes`."""
        C, matrices = self._model.n_embd, self.matrices
        views = {"wte": matrices.wte, "wpe": matrices.wpe, "lm_head": matrices.lm_head}
        if not self._model.n_positions:
            del views["wpe"]
        for layer in range(self._model.n_layer):
            for i, name in enumerate(("attn_wq", "attn_wk", "attn_wv")):
                views[f"layer{layer}.{name}"] = matrices.attn_wqkv[layer, i * C : (i + 1) * C]
            views[f"layer{layer}.attn_wo"] = matrices.attn_wo[layer]
            views[f"layer{layer}.mlp_fc1"] = matrices.mlp_fc1[layer]
            views[f"layer{layer}.mlp_fc2"] = matrices.mlp_fc2_t[layer].T
        return views

    def set(self, weights: Mapping[str, Matrix[float]] | Sequence[float] | Numbers) -> None:
        """Set the weights from a mapping or a flat sequence in the order of `weight_shapes`."""
        views = self.by_name()
        matrices: Iterable[Array]
        if isinstance(weights, Mapping):
            matrices = (np.asarray(weights[name]) for name in views)
        else:
            ends = np.cumsum([view.size for view in views.values()])
            matrices = np.split(np.asarray(weights), ends[:-1])
        with np.errstate(over="ignore"):  # overflows give infinity, which the first step detects
            for view, part in zip(views.values(), matrices, strict=True):
                view[:] = part.reshape(view.shape)

    def flat(self) -> Array:
        """Return a flat copy of all numbers in the order of `weight_shapes`."""
        return np.concatenate([view.ravel() for view in self.by_name().values()])


def initial_weights(model: ModelConfig, rng: random.Random) -> NDArray[np.float64]:
    """Return the weights of `init_variant` as a flat array in the order of `weight_shapes`."""
    numbers, start = random_numbers.gauss(count_params(model), model.init_std, rng), 0
    for name, (n_rows, n_columns) in weight_shapes(model).items():
        end = start + n_rows * n_columns
        if name.endswith(OUTPUTS) and not model.is_karpathys:
            numbers[start:end] *= OUT_SCALE
        start = end
    return numbers


class DecodeWeights(NamedTuple):
    """Weight matrices for `decode`; all except wte and wpe are stored in panels."""

    wte: Array  # (V, C)
    wpe: Array  # (block_size, C), or no rows for rotary positions
    lm_head: Array  # (C, V)
    attn_wqkv: Array  # (L, C, 3 C)
    attn_wo: Array  # (L, C, C)
    mlp_fc1: Array  # (L, C, n_ff_exp C)
    mlp_fc2: Array  # (L, n_ff_exp C, C)


def for_decoding(weights: Weights, dtype: str) -> DecodeWeights:
    """Return a copy of the weights in the layout of `decode`."""
    *tables, lm_head, wqkv, wo, fc1, fc2_t = weights
    wte, wpe = (aligned_zeros((len(x), padded(x.shape[1], dtype)), dtype) for x in tables)
    wte[:, : tables[0].shape[1]], wpe[:, : tables[1].shape[1]] = tables
    matrices = (lm_head[None], wqkv, wo, fc1, np.swapaxes(fc2_t, -1, -2))
    in_head, *others = (in_panels(matrix, dtype) for matrix in matrices)
    return DecodeWeights(wte, wpe, in_head[0], *others)


def in_panels(w: Array, dtype: str) -> Array:
    """Transpose matrices and split them into stacked panels, each up to 8 vectors wide.

    A product with a single row then reads memory sequentially.
    """
    L, m, n = w.shape
    width = min(8 * lanes_of(dtype), padded(m, dtype))
    panels = aligned_zeros((L, -(-m // width), n, width), dtype)
    for panel, first in enumerate(range(0, m, width)):
        part = w[:, first : first + width]
        panels[:, panel, :, : part.shape[1]] = np.swapaxes(part, -1, -2)
    return panels.reshape(L, -1, width)


def padded(n: int, dtype: str) -> int:
    """Round n up to a multiple of the vector length."""
    return -(-n // lanes_of(dtype)) * lanes_of(dtype)


def aligned_zeros(shape: tuple[int, ...], dtype: str) -> Array:
    """Return a zero-filled array aligned to the vector size.

    NumPy guarantees an alignment of only 16 bytes, at which a vector can span two cache lines and
    take two loads.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + VECTOR_BYTES, np.uint8)
    start = -raw.ctypes.data % VECTOR_BYTES
    return raw[start : start + n_bytes].view(dtype).reshape(shape)


def allocated(kind: type[Arrays], sizes: Mapping[str, int], dtype: str, **wider: int) -> Arrays:
    """Return a named tuple of zero-filled arrays; its annotations name their dimensions.

    Arrays of one dimension are int64, and `keys` are int32. Rows and columns are padded to whole
    vectors, because `transpose` processes square tiles.

    Args:
        wider: number of extra elements in each row of the array with that name, before padding.
    """
    found: dict[str, Array] = {}
    for name, annotation in kind.__annotations__.items():
        shape = [sizes[size] for size in annotation.__metadata__]
        if len(shape) == 1:
            found[name] = np.zeros(shape, np.int64)
            continue
        *outer, rows, columns = shape
        room = (*outer, padded(rows, dtype), padded(columns + wider.get(name, 0), dtype))
        numbers = aligned_zeros(room, "int32" if name == "keys" else dtype)
        found[name] = numbers[..., :rows, :columns]
    return kind(**found)
