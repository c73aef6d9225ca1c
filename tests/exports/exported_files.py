"""Write a model in an export format, and return the error that reading an export raises."""

from collections.abc import Callable
from pathlib import Path

import pytest

from microgpt import ExportRequest
from microgpt.errors import CheckpointError
from microgpt.storage.model_metadata import SavedModel
from microgpt_exports.c_file import C_FORMAT, INT8_FORMAT
from microgpt_exports.format import Format
from microgpt_exports.gguf_file import GGUF_FORMAT
from microgpt_exports.onnx_file import ONNX_FORMAT
from microgpt_exports.transformers_directory import TRANSFORMERS_FORMAT

FORMATS = (C_FORMAT, INT8_FORMAT, GGUF_FORMAT, ONNX_FORMAT, TRANSFORMERS_FORMAT)


def written(format: Format, saved: SavedModel, folder: Path, name: str = "model") -> Path:
    """Write a model in a format, and return the path of the export."""
    request = ExportRequest(folder / name, name, lambda _: None)
    for path, content in format.write(saved, request).items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return folder / name


def refusal(read: Callable[[Path], object], path: Path, content: bytes | None = None) -> str:
    """Return the one-line error that reading an export raises, without the path it begins with."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))
