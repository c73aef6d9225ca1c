"""ONNX files: write a model with its receipt, read a file that may be untrusted, and run one.

A file is accepted only if its graph equals the one that microgpt writes for the shape in its
receipt, so it can neither request more memory nor refer to other files.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import (
    CheckpointError,
    ExportFormat,
    ExportRequest,
    SavedModel,
    Verification,
    check_extra,
    count_params,
    printable,
    read,
    tensors_of,
    weight_shapes,
)
from microgpt_exports.comparison import first_bytes, running, verdict
from microgpt_exports.onnx_graph import IR_VERSION, OPSET, SCALES, TABLES, OnnxGraph
from microgpt_exports.receipt import Receipt, check_replies, make_receipt, read_receipt

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, TensorProto

    Arrays = dict[str, NDArray[Any]]

RECEIPT, TOKENIZER = "microgpt.receipt", "microgpt.tokenizer"  # keys of the metadata
SILENT = 4  # onnxruntime logs only what ends the process
PRODUCER = b"\x12\x08microgpt"  # the field that follows the version, at the start of a file
MAX_FILE = 2**31 - 1  # bytes; protobuf reads no more
MAX_STRUCTURE = 2**20  # bytes that are neither weights nor metadata
LAYER_BYTES = 1000  # of these; the smallest layer has more
VARINT, BYTES = 0, 2  # wire types of protobuf; a model and its tensors have no others
# Field numbers of onnx.proto: weights and metadata, and the messages that have them.
NUMBERS = ((7, 5, 9), (14, 2))  # graph.initializer.raw_data, metadata_props.value
NESTED = ((7,), (7, 5), (14,))


def encode_onnx(saved: SavedModel, *, int8: bool = False) -> bytes:
    """Return the content of the ONNX file of a model, with its receipt.

    Args:
        int8: whether the weights are rounded to 8 bits, with a scale for each row.

    Raises:
        ConfigError: a plug-in chooses the replies, the extra onnx is missing, or sources
            of the model have been edited.
        CheckpointError: a weight is too large for float32, or the file would be too large.
    """
    check_replies(saved)
    check_extra("microgpt-exports[onnx]", "ONNX files", "onnx")
    weights = tensors_of(saved.model, saved.weights, "float32")
    exported, n_bytes = saved, (1 if int8 else 4) * count_params(saved.model)
    if n_bytes > MAX_FILE - MAX_STRUCTURE:
        raise CheckpointError(f"an ONNX file has at most {MAX_FILE:,} bytes; use safetensors")
    if int8:
        weights, rounded = _quantized(weights)
        exported = replace(saved, weights={name: each.tolist() for name, each in rounded.items()})
    graph = OnnxGraph(saved.model, int8=int8)
    # Matrices whose rows are looked up are stored as they are; scales have one dimension.
    stored = {name: each if name in TABLES else each.T for name, each in weights.items()}
    model = _model(graph, _tensors(stored | graph.constants))
    facts = {"weights_sha256": _weights_sha256(model)}
    receipt = make_receipt(saved, exported, **facts, quantization="int8" if int8 else None)
    metadata = {RECEIPT: receipt.model_dump_json()}
    if saved.tokenizer.file:
        metadata[TOKENIZER] = saved.tokenizer.file.decode()
    from onnx.helper import set_model_props

    set_model_props(model, metadata)
    content: bytes = model.SerializeToString()
    if not _is_small(content):
        raise CheckpointError("the model has too many layers for an ONNX file; use safetensors")
    return content


def read_onnx(path: Path) -> Receipt:
    """Check a file that `encode_onnx` has written, and return its receipt.

    This takes twice the size of the file in memory. The file can then be run from its path.

    Raises:
        ConfigError: the extra onnx is missing.
        CheckpointError: the file cannot be read, is damaged, or is not such a file.
    """
    check_extra("microgpt-exports[onnx]", "ONNX files", "onnx", "onnxruntime")
    model = _parsed(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if RECEIPT not in metadata:
        raise CheckpointError(
            f"{path} has no receipt; write it with `microgpt export --format onnx`"
        )
    receipt = read_receipt(metadata[RECEIPT], str(path))
    config = receipt.model
    n_least = max(count_params(config), config.block_size * (config.positions == "rotary"))
    n_layers = MAX_STRUCTURE // LAYER_BYTES
    if n_least > path.stat().st_size or config.n_layer > n_layers:  # before the graph is built
        raise CheckpointError(f"{path} has fewer weights than its receipt says")
    sha256 = _weights_sha256(model)
    if not _has_graph(model, receipt):
        raise CheckpointError(
            f"{path}: the graph differs from what this version of microgpt writes for a model of "
            f"this shape; {printable(receipt.created_by)} wrote it"
        )
    if sha256 != receipt.weights_sha256:
        raise CheckpointError(f"{path} is damaged: its weights are not those of its receipt")
    return receipt


class OnnxSession:
    """A model that onnxruntime runs, on one core.

    Args:
        model: the content of a file, or its path, which needs less memory.

    Raises:
        ConfigError: the extra onnx is missing.
        CheckpointError: onnxruntime cannot run the model.
    """

    def __init__(self, model: bytes | Path) -> None:
        check_extra("microgpt-exports[onnx]", "ONNX files", "onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        self._program = f"onnxruntime {onnxruntime.__version__}"
        with running(self._program):
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        self._cache_inputs = self._session.get_inputs()[1:]

    def read(
        self, tokens: "Sequence[int] | NDArray[Any]", cache: "Arrays | None"
    ) -> "tuple[NDArray[Any], Arrays]":
        """Return the logits after each token (T, V), and the new cache; None is an empty cache.

        For a batch, tokens are (B, T) and logits (B, T, V).
        """
        import numpy as np

        ids = np.atleast_2d(np.asarray(tokens, "int64"))
        cache = self._empty_cache(len(ids)) if cache is None else cache
        with running(self._program):
            logits, *present = self._session.run(None, {"input_ids": ids, **cache})
        names = (each.name for each in self._cache_inputs)
        found = logits if np.ndim(tokens) == 2 else logits[0]
        return found, dict(zip(names, present, strict=True))

    def _empty_cache(self, n_sequences: int) -> "Arrays":
        import numpy as np

        sizes = {"batch": n_sequences, "past": 0}
        return {
            each.name: np.zeros([sizes.get(size, size) for size in each.shape], "float32")
            for each in self._cache_inputs
        }


def _encode(saved: SavedModel, request: ExportRequest) -> dict[Path, bytes]:
    return {request.output: encode_onnx(saved, int8=request.rounding == "int8")}


def _verify(path: Path) -> Verification | None:
    if path.suffix != ".onnx" and PRODUCER not in first_bytes(path):
        return None
    return verdict(read_onnx(path), OnnxSession(path))


ONNX = ExportFormat(_encode, "uses float32, or int8 with --int8", ("int8",), verify=_verify)


def _parsed(path: Path) -> "ModelProto":
    """Parse a file; only its size is checked."""
    from google.protobuf.message import DecodeError
    from onnx import load_model_from_string

    content = read(path, MAX_FILE)
    try:
        if _is_small(content):
            return load_model_from_string(content)
    except (ValueError, DecodeError) as error:
        raise CheckpointError(f"{path} is not an ONNX file, or is damaged") from error
    raise CheckpointError(
        f"{path} has more than {MAX_STRUCTURE:,} bytes that are neither weights nor metadata, so "
        "microgpt has not written it"
    )


def _quantized(weights: "Arrays") -> "tuple[Arrays, Arrays]":
    """Return weights as int8 with the scales of their rows, and the same as float32."""
    import numpy as np

    found: Arrays = {}
    rounded: Arrays = {}
    for name, matrix in weights.items():
        largest = np.abs(matrix).max(axis=1)
        scales = np.where(largest > 0, largest / 127, 1).astype("float32")
        found[name] = np.rint(matrix / scales[:, None]).clip(-127, 127).astype("int8")
        found[name + SCALES] = scales
        rounded[name] = found[name] * scales[:, None]
    return found, rounded


def _model(graph: OnnxGraph, tensors: "Iterable[TensorProto]") -> "ModelProto":
    from onnx.helper import make_graph, make_model, make_opsetid

    proto = make_graph(graph.nodes, "microgpt", graph.inputs, graph.outputs, [*tensors])
    opsets = [make_opsetid("", OPSET)]
    return make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="microgpt")


def _tensors(arrays: "Arrays") -> "Iterator[TensorProto]":
    import numpy as np
    from onnx.numpy_helper import from_array

    return (from_array(np.ascontiguousarray(each), name) for name, each in arrays.items())


def _weights_sha256(model: "ModelProto") -> str:
    """Return the SHA-256 of all initializers."""
    sha256 = hashlib.sha256()
    for tensor in model.graph.initializer:
        sha256.update(tensor.raw_data)
    return sha256.hexdigest()


def _has_graph(model: "ModelProto", receipt: Receipt) -> bool:
    """Return whether a model equals the one that is written for its shape, except for the weights.

    The metadata and the weights are removed from the model.
    """
    from onnx import TensorProto

    graph = OnnxGraph(receipt.model, int8=receipt.quantization == "int8")
    numbers = {TensorProto.FLOAT: 4, TensorProto.INT8: 1}  # bytes of each
    del model.metadata_props[:]
    for tensor in model.graph.initializer:
        if size := numbers.get(tensor.data_type):
            if len(tensor.raw_data) != size * prod(tensor.dims):
                return False
            tensor.ClearField("raw_data")
    constants = [*_tensors(graph.constants)]
    for tensor in constants:
        if tensor.data_type in numbers:
            tensor.ClearField("raw_data")  # cosines are rounded differently elsewhere
    return model == _model(graph, [*_matrices(graph), *constants])


def _matrices(graph: OnnxGraph) -> "Iterator[TensorProto]":
    """Yield the initializers of the weight matrices, without their values."""
    from onnx import TensorProto

    kind = TensorProto.INT8 if graph.int8 else TensorProto.FLOAT
    for name, (rows, columns) in weight_shapes(graph.config).items():
        dims = (rows, columns) if name in TABLES else (columns, rows)
        yield TensorProto(name=name, dims=dims, data_type=kind)
        if graph.int8:
            yield TensorProto(name=name + SCALES, dims=[rows], data_type=TensorProto.FLOAT)


def _is_small(content: bytes) -> bool:
    """Return whether what is not weights or metadata is small enough to be parsed.

    Raises:
        ValueError: the content is not a protobuf message.
    """
    return all(total <= MAX_STRUCTURE for total in accumulate(_sizes(memoryview(content))))


def _sizes(message: memoryview, path: tuple[int, ...] = ()) -> Iterator[int]:
    """Yield the size of each field that is not weights or metadata, but at least 2."""
    for number, part in _fields(message):
        place = (*path, number)
        if place in NESTED:
            yield from _sizes(part, place)
        yield 2 if place in (*NESTED, *NUMBERS) else 2 + len(part)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the content of each field of a protobuf message.

    Raises:
        ValueError: the message is damaged.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        size, end = _varint(message, at)
        if tag & 7 == BYTES:
            at, end = end, end + size
        if end > len(message) or tag & 7 not in (VARINT, BYTES):
            raise ValueError("a field is damaged or has an unexpected type")
        yield tag >> 3, message[at:end]
        at = end


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the integer at an index, and the index after it."""
    value = 0
    for i, byte in enumerate(message[at : at + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError("an integer ends beyond its message")
