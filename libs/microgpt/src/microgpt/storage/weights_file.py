"""Weights files in JSON or safetensors format; only safetensors files need NumPy."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from microgpt.config import ModelConfig, WeightsFormat, check_choice
from microgpt.error_format import first_problem
from microgpt.errors import CheckpointError
from microgpt.model import Weights, weight_shapes
from microgpt.model_config import count_params
from microgpt.printable import printable
from microgpt.storage.meta import META

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS_FILES: dict[WeightsFormat, str] = {
    "json": "weights.json",
    "safetensors": "model.safetensors",
}
FLOATS = ("float16", "float32", "float64")
MAX_BYTES = (8, 64)  # bytes per number in safetensors and JSON (24 for digits, 40 for spaces)
HEADER_BYTES = 2**16  # bytes per layer for tensor names, shapes and other metadata


def encode_weights(
    model: ModelConfig, weights: Weights[float], weights_format: WeightsFormat, dtype: str
) -> bytes:
    """Encode weights as the content of a weights file.

    The dtype applies only to safetensors; JSON stores full precision.

    Raises:
        ConfigError: the format is unknown.
        CheckpointError: a weight is too large for the dtype.
    """
    check_choice("weights_format", weights_format, WeightsFormat)
    if weights_format == "json":
        return json.dumps(weights, separators=(",", ":")).encode()
    from safetensors.numpy import save

    return save(tensors_of(model, weights, dtype), {"format": "np"})


def tensors_of(
    model: ModelConfig, weights: Weights[float], dtype: str
) -> "dict[str, NDArray[Any]]":
    """Return the matrices of a model as NumPy arrays, in the order of `weight_shapes`.

    Raises:
        CheckpointError: a weight is too large for the dtype.
    """
    import numpy as np

    with np.errstate(over="ignore"):
        tensors = {name: np.array(weights[name], dtype) for name in weight_shapes(model)}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"{name} has a weight that is too large for {dtype}")
    return tensors


def max_bytes(path: Path, model: ModelConfig) -> int:
    """Return the maximum valid size of a weights file in bytes."""
    n_bytes = MAX_BYTES[path.suffix == ".json"] * count_params(model)
    return n_bytes + HEADER_BYTES * (1 + model.n_layer)


def decode_weights(
    content: bytes, path: Path, model: ModelConfig
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Decode the content of a weights file; return the rows of each matrix by name.

    The file extension of the path determines the format.

    Raises:
        CheckpointError: the content is invalid or does not match the model.
    """
    if path.suffix == ".json":
        matrices = _from_json(content, path)
    else:
        matrices = _from_safetensors(content, path)
    if model.n_layer > len(matrices):  # checked first: a huge n_layer could exhaust the memory
        raise CheckpointError(f"{path} has too few matrices for n_layer {model.n_layer} in {META}")
    shapes = weight_shapes(model)
    missing, foreign = shapes.keys() - matrices.keys(), matrices.keys() - shapes.keys()
    if missing or foreign:
        problem = f"{min(missing)} is missing" if missing else f"{min(foreign)} is unexpected"
        raise CheckpointError(f"{path} does not match {META}: {printable(problem)}")
    for name, (rows, columns) in shapes.items():
        matrix = matrices[name]
        uneven = next((row for row in matrix if len(row) != columns), None)
        if len(matrix) != rows or uneven is not None:
            found = f"{len(matrix)} × {columns if uneven is None else len(uneven)}"
            raise CheckpointError(
                f"{path} does not match {META}: {name} is {found}, not {rows} × {columns}"
            )
    return {name: tuple(tuple(row) for row in matrices[name]) for name in shapes}


_Finite = Annotated[float, Field(allow_inf_nan=False)]
_MATRICES = TypeAdapter(
    dict[str, list[list[_Finite]]], config=ConfigDict(strict=True, defer_build=True)
)


def _from_json(content: bytes, path: Path) -> dict[str, list[list[float]]]:
    try:
        return _MATRICES.validate_json(content)
    except ValidationError as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error


def _from_safetensors(content: bytes, path: Path) -> dict[str, list[list[float]]]:
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
    except KeyError as error:  # NumPy does not support the dtype
        raise CheckpointError(
            f"{path} has the dtype {printable(str(error))}; "
            f"convert it to one of {', '.join(FLOATS)}"
        ) from error
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {printable(str(error))}") from error
    for name, tensor in tensors.items():
        if tensor.ndim != 2 or tensor.dtype.name not in FLOATS:
            raise CheckpointError(
                f"{path}: {printable(name)} is a {tensor.ndim}-D array of {tensor.dtype}; "
                f"expected a 2-D array ({', '.join(FLOATS)})"
            )
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"{path}: {printable(name)} has a value that is not finite")
    return {name: tensor.tolist() for name, tensor in tensors.items()}
