"""The formats of exported models with a receipt."""

from pathlib import Path

from microgpt.files.regular_file import open_at_once
from microgpt_exports.comparison import Runtime
from microgpt_exports.gguf_file import MAGIC, read_gguf
from microgpt_exports.llama_session import LlamaSession
from microgpt_exports.onnx_file import read_onnx
from microgpt_exports.onnx_session import OnnxSession
from microgpt_exports.receipt import Receipt
from microgpt_exports.transformers_directory import read_transformers
from microgpt_exports.transformers_session import TransformersSession


def open_export(path: Path) -> tuple[Receipt, Runtime]:
    """Check an exported model that may be untrusted, and open it in the program of its format.

    Raises:
        ConfigError: the program is not installed.
        CheckpointError: the path is no exported model, or the program cannot run it.
    """
    if path.is_dir():
        return read_transformers(path), TransformersSession(path)
    if path.suffix == ".gguf" or _begins_with(path, MAGIC):
        return read_gguf(path), LlamaSession(path)
    return read_onnx(path), OnnxSession(path)


def _begins_with(path: Path, content: bytes) -> bool:
    """Return whether a file can be read and begins with some bytes."""
    try:
        with open(path, "rb", opener=open_at_once) as file:
            return file.read(len(content)) == content
    except OSError:
        return False
