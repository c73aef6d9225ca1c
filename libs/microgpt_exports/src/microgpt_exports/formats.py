"""The formats that this package adds to `microgpt export`, each with a receipt to verify it."""

from pathlib import Path

from microgpt import (
    CheckpointError,
    ExportFormat,
    ExportRequest,
    SavedModel,
    Verification,
    printable,
)
from microgpt_exports.comparison import verdict
from microgpt_exports.gguf_file import MAGIC, encode_gguf, encode_modelfile, read_gguf
from microgpt_exports.onnx_file import PRODUCER, OnnxSession, encode_onnx, read_onnx
from microgpt_exports.sessions import LlamaSession, TransformersSession
from microgpt_exports.transformers_directory import (
    RECEIPT,
    encode_transformers,
    read_transformers,
)

N_BYTES = 16  # first bytes of a file, by which its format is known


def _encode_onnx(saved: SavedModel, request: ExportRequest) -> dict[Path, bytes]:
    return {request.output: encode_onnx(saved, int8=request.rounding == "int8")}


def _verify_onnx(path: Path) -> Verification | None:
    if path.suffix != ".onnx" and PRODUCER not in _first_bytes(path):
        return None
    return verdict(read_onnx(path), OnnxSession(path))


def _encode_gguf(saved: SavedModel, request: ExportRequest) -> dict[Path, bytes]:
    """Return the file, and ollama's Modelfile for it."""
    file = request.output
    files = {file: encode_gguf(saved, file.stem)}
    _note_characters(saved, request)
    return files | {Path(f"{file}.Modelfile"): encode_modelfile(saved, file.name)}


def _verify_gguf(path: Path) -> Verification | None:
    if path.suffix != ".gguf" and not _first_bytes(path).startswith(MAGIC):
        return None
    return verdict(read_gguf(path), LlamaSession(path))


def _encode_transformers(saved: SavedModel, request: ExportRequest) -> dict[Path, bytes]:
    files = encode_transformers(saved)
    _note_characters(saved, request)
    return {request.output / name: content for name, content in files.items()}


def _verify_transformers(path: Path) -> Verification | None:
    if not (path / RECEIPT).exists():
        return None
    return verdict(read_transformers(path), TransformersSession(path))


ONNX = ExportFormat(
    _encode_onnx, "uses float32, or int8 with --int8", ("int8",), verify=_verify_onnx
)
GGUF = ExportFormat(_encode_gguf, "uses float32", verify=_verify_gguf)
TRANSFORMERS = ExportFormat(
    _encode_transformers, "uses float32", mark=RECEIPT, verify=_verify_transformers
)


def _note_characters(saved: SavedModel, request: ExportRequest) -> None:
    if saved.tokenizer.chars:
        known = printable("".join(saved.tokenizer.chars))
        request.note(f'there, the tokenizer leaves out all characters other than "{known}"')


def _first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file; none of a directory or a pipe, which would not end."""
    if not path.is_file():
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(N_BYTES)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
