"""Encode and decode weights files in JSON or safetensors format; only safetensors needs NumPy."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from microgpt.config import ModelConfig, WeightsFormat, checked
from microgpt.errors import CheckpointError
from microgpt.formatting import first_problem, printable
from microgpt.model import Weights, weight_shapes
from microgpt.parameters import count_params
from microgpt.resource_limits import check_memory
from microgpt.storage.model_metadata import META

if TYPE_CHECKING:
    from numpy.typing import NDArray

Matrices = Mapping[str, "Sequence[Sequence[float]] | NDArray[Any]"]
WEIGHTS_FILES: dict[WeightsFormat, str] = {
    "json": "weights.json",
    "safetensors": "model.safetensors",
    "float16": "model.safetensors",  # with two bytes per weight
}
MAX_BYTES = (8, 64)  # maximum bytes per number in safetensors and in JSON (24 digits, 40 spaces)
BYTES_PER_WEIGHT = 32  # memory per weight of a loaded model: a Python float and a pointer
HEADER_BYTES = 2**16  # maximum bytes per layer for tensor names, shapes and other metadata


def encode_weights(
    model: ModelConfig, weights: Weights[float], weights_format: WeightsFormat, dtype: str
) -> bytes:
    """Return the content of a weights file; JSON keeps full precision, whatever the dtype."""
    checked("weights_format", weights_format, WeightsFormat)
    if weights_format == "json":
        try:
            return json.dumps(weights, separators=(",", ":"), allow_nan=False).encode()
        except ValueError as error:
            raise CheckpointError("the model has a weight that is not finite") from error
    from safetensors.numpy import save

    dtype = "float16" if weights_format == "float16" else dtype
    return save(tensors_of(model, weights, dtype), {"format": "np"})


def tensors_of(
    model: ModelConfig, weights: Weights[float], dtype: str
) -> "dict[str, NDArray[Any]]":
    """Return the matrices as arrays; raise CheckpointError if a weight is too large for dtype."""
    import numpy as np

    with np.errstate(over="ignore"):
        tensors = {name: np.array(weights[name], dtype) for name in weight_shapes(model)}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"{name} has a weight that is too large for {dtype}")
    return tensors


def check_fits(model: ModelConfig) -> None:
    """Raise ConfigError if a model and one full context exceed the free memory."""
    per_token = 2 * model.n_layer * model.n_embd + 2  # keys, values, token id and random number
    n_bytes = BYTES_PER_WEIGHT * count_params(model) + 8 * model.block_size * per_token
    check_memory(n_bytes, "the model")


def max_bytes(path: Path, model: ModelConfig) -> int:
    """Return the maximum valid size of a weights file in bytes."""
    n_bytes = MAX_BYTES[path.suffix == ".json"] * count_params(model)
    return n_bytes + HEADER_BYTES * (1 + model.n_layer)


def decode_weights(
    content: bytes, path: Path, model: ModelConfig
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Return the rows of each matrix by name; the suffix of the path determines the format."""
    if path.suffix == ".json":
        try:
            return rows_of(_MATRICES.validate_json(content), path, model)
        except ValidationError as error:
            raise CheckpointError(f"{path}: {first_problem(error)}") from error
    import numpy as np

    tensors = decode_tensors(content, path)
    for name, tensor in tensors.items():
        if tensor.ndim != 2:
            what = f"a {tensor.ndim}-D array; expected a 2-D array"
            raise CheckpointError(f"{path}: {printable(name)} is {what}")
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"{path}: {printable(name)} has a value that is not finite")
    return rows_of(tensors, path, model)


def rows_of(
    matrices: Matrices, path: Path, model: ModelConfig, source: str = META
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Return the rows of each matrix; raise CheckpointError if the shapes do not fit `model`."""
    if model.n_layer > len(matrices):  # checked first: a huge n_layer could exhaust the memory
        raise CheckpointError(
            f"{path} has too few matrices for n_layer {model.n_layer} in {source}"
        )
    shapes = weight_shapes(model)
    for name in (*shapes, *sorted(matrices.keys() - shapes.keys())):
        rows, columns = shapes.get(name, (0, 0))
        matrix = matrices.get(name, ())
        width = next((len(row) for row in matrix if len(row) != columns), columns)
        if (len(matrix), width) != (rows, columns):
            sizes = f"{len(matrix)} × {width}, not {rows} × {columns}"
            raise CheckpointError(f"{path} does not match {source}: {printable(name)} is {sizes}")
    check_fits(model)
    return {
        name: tuple(map(tuple, m if isinstance(m := matrices[name], Sequence) else m.tolist()))
        for name in shapes
    }


_MATRICES = TypeAdapter(
    dict[str, list[list[float]]],
    config=ConfigDict(strict=True, allow_inf_nan=False, defer_build=True),
)


def decode_tensors(content: bytes, path: Path) -> "dict[str, NDArray[Any]]":
    """Return the tensors of a safetensors file; raise CheckpointError unless all are floats."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
        other = next((str(each.dtype) for each in tensors.values() if each.dtype.kind != "f"), None)
    except KeyError as error:  # raised for bfloat16, which NumPy does not support
        other = str(error)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {printable(str(error))}") from error
    if other:
        problem = f"has tensors of the type {printable(other)}"
        raise CheckpointError(f"{path} {problem}; convert them to float32")
    return tensors
