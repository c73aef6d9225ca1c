"""ONNX files: write a model with its receipt, read a file that may be untrusted, and run one.

A file is accepted only if all but its weights equals what microgpt writes for its receipt, which is
all that is parsed before. So it can neither request more memory nor refer to other files.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import (
    CheckpointError,
    ExportFormat,
    SavedModel,
    Verification,
    check_extra,
    count_params,
    read,
    tensors_of,
    weight_shapes,
)
from microgpt_exports.comparison import first_bytes, running, verdict
from microgpt_exports.onnx_graph import FLOAT, IR_VERSION, OPSET, TABLES, OnnxGraph
from microgpt_exports.receipt import (
    RECEIPT,
    TOKENIZER,
    Receipt,
    check_exportable,
    make_receipt,
    read_receipt,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

    Arrays = dict[str, NDArray[Any]]

SILENT = 4  # onnxruntime logs only what ends the process
PRODUCER = b"\x12\x08microgpt"  # the field that follows the version, at the start of a file
MAX_FILE = 2**31 - 1  # bytes; protobuf reads no more
MAX_STRUCTURE = 2**23  # bytes of the graph and the metadata


def encode_onnx(saved: SavedModel) -> bytes:
    """Return the content of the ONNX file of a model, with its receipt.

    Raises:
        ConfigError: a plug-in chooses the replies, the extra onnx is missing, or sources
            of the model have been edited.
        CheckpointError: a weight is too large for float32, or the file would be too large.
    """
    check_exportable(saved)
    check_extra("microgpt-exports[onnx]", "ONNX files", "onnx")
    weights = tensors_of(saved.model, saved.weights, "float32")
    if 4 * count_params(saved.model) > MAX_FILE - MAX_STRUCTURE:
        raise CheckpointError(f"an ONNX file has at most {MAX_FILE:,} bytes; use safetensors")
    model = _model(OnnxGraph(saved.model), weights)
    receipt = make_receipt(saved, (tensor.raw_data for tensor in model.graph.initializer))
    metadata = {RECEIPT: receipt.model_dump_json()}
    if saved.tokenizer.file:
        metadata[TOKENIZER] = saved.tokenizer.file.decode()
    return _encoded(model, metadata)


def read_onnx(path: Path) -> Receipt:
    """Check a file that `encode_onnx` has written, and return its receipt.

    This takes three times the size of the file in memory. The file can then be run from its path.

    Raises:
        ConfigError: the extra onnx is missing.
        CheckpointError: the file cannot be read, is damaged, or is not such a file.
    """
    check_extra("microgpt-exports[onnx]", "ONNX files", "onnx", "onnxruntime")
    import numpy as np

    content = read(path, MAX_FILE)
    metadata = _metadata(content)
    receipt = read_receipt(metadata.get(RECEIPT), path, len(content))
    shape = receipt.model
    if not shape.is_karpathys and shape.block_size > len(content):  # size of its constants
        raise CheckpointError(f"{path} has fewer weights than its receipt says")
    zeros = {name: np.zeros(each, "float32") for name, each in weight_shapes(shape).items()}
    model = _model(OnnxGraph(shape), zeros)
    expected, parts, at = _encoded(model, metadata), [], 0
    for tensor in model.graph.initializer:
        each, n = tensor.SerializeToString(), len(tensor.raw_data)  # raw_data ends the message
        start = expected.index(each[:-n], at) + len(each) - n
        receipt.check_written(path, is_equal=content[at:start] == expected[at:start])
        parts.append(memoryview(content)[start : start + n])
        at = start + (n if tensor.data_type == FLOAT else 0)  # cosines differ elsewhere, too
    receipt.check_written(path, is_equal=content[at:] == expected[at:])
    receipt.check_weights(path, parts)
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
        if cache is None:
            sizes = {"batch": len(ids), "past": 0}
            cache = {
                each.name: np.zeros([sizes.get(size, size) for size in each.shape], "float32")
                for each in self._cache_inputs
            }
        with running(self._program):
            logits, *present = self._session.run(None, {"input_ids": ids, **cache})
        names = (each.name for each in self._cache_inputs)
        found = logits if np.ndim(tokens) == 2 else logits[0]
        return found, dict(zip(names, present, strict=True))


def _verify(path: Path) -> Verification | None:
    if path.suffix != ".onnx" and PRODUCER not in first_bytes(path):
        return None
    return verdict(read_onnx(path), OnnxSession(path))


ONNX = ExportFormat(lambda saved, request: {request.output: encode_onnx(saved)}, verify=_verify)


def _metadata(content: bytes) -> dict[str, str]:
    """Return our texts in the metadata, which ends a file."""
    found: dict[str, str] = {}
    for name in (RECEIPT, TOKENIZER):
        # An entry has its key as field 1, and its value as field 2.
        key = b"\x0a" + bytes([len(name)]) + name.encode() + b"\x12"
        start = content.rfind(key) + len(key)
        with suppress(ValueError):  # the file is damaged
            if start >= len(key):
                size, start = _varint(content, start)
                found[name] = str(content[start : start + size], "utf-8")
    return found


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return the integer of protobuf at an index, and the index after it."""
    value = 0
    for i, byte in enumerate(content[at : at + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError("the integer does not end")


def _model(graph: OnnxGraph, weights: "Arrays") -> "ModelProto":
    import numpy as np
    from onnx.helper import make_graph, make_model, make_opsetid
    from onnx.numpy_helper import from_array

    stored = {name: each if name in TABLES else each.T for name, each in weights.items()}
    tensors = [
        from_array(np.ascontiguousarray(each), name)
        for name, each in (stored | graph.constants).items()
    ]
    proto = make_graph(graph.nodes, "microgpt", graph.inputs, graph.outputs, tensors)
    opsets = [make_opsetid("", OPSET)]
    return make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="microgpt")


def _encoded(model: "ModelProto", metadata: dict[str, str]) -> bytes:
    from onnx.helper import set_model_props

    set_model_props(model, metadata)
    content: bytes = model.SerializeToString()
    return content
