"""Export models in the formats of other programs, and verify the exports in these programs.

The receipt in an export describes the model, and contains the model's results. `verify` runs an
export only if all bytes except its weights equal those that microgpt writes for the same receipt.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt import (
    CheckpointError,
    ConfigError,
    ExportFormat,
    ExportRequest,
    ModelConfig,
    SavedModel,
    Tokenizer,
    Verification,
    as_argument,
    check_unedited,
    count_params,
    printable,
    read,
    weight_shapes,
)
from microgpt_exports.receipt import (
    MAX_LAYERS,
    Program,
    Receipt,
    compare,
    damaged,
    make_receipt,
    read_receipt,
)

Arrays = dict[str, NDArray[Any]]

MAX_FILE = 2**31 - 1  # maximum size of a file in bytes; protobuf reads no more
RECEIPT, RECEIPT_FILE = "microgpt.receipt", "receipt.json"  # metadata key; file name
# Matches the key, the length of the receipt, and the receipt, which has no control characters.
IN_FILE = re.compile(RECEIPT.encode() + rb'.{0,13}?(\{"format_version"[^\x00-\x1f]*\})', re.DOTALL)
ALSO = (".md", "LICENSE")  # suffixes of extra files that are allowed in an exported directory


class Numbers(bytes):
    """The bytes of an export that hold its weights. The receipt determines all other bytes."""

    pattern = re.compile(rb".*", re.DOTALL)  # weights can be any bytes


@dataclass(frozen=True)
class Format:
    """A format in which another program reads models.

    Args:
        name: the name for `export --format`.
        tensors: converts the weights of a model, in the order of `weight_shapes`.
        files: returns the content of each file by name ("" for the output itself) as byte strings
            to concatenate; raises ConfigError if the format does not support the model.
        run: opens an export in the program; raises ConfigError if the program is not installed,
            and CheckpointError if it cannot run the model.
        weights_file: the file with the weights, if an export is a directory.
        following: returns the command to suggest after an export.
        stored: returns the model with the weights that an export stores.
        remark: returns a remark for the user, or an empty string.
        check: raises ConfigError if a package is missing that is required to write an export.
    """

    name: str
    tensors: Callable[[ModelConfig, Mapping[str, Any]], Arrays]
    files: Callable[[Receipt, Tokenizer, Arrays], Mapping[str, Sequence[bytes]]]
    run: Callable[[Path], Program]
    weights_file: str = ""
    following: Callable[[Path], str] = lambda path: f"microgpt verify {as_argument(path)}"
    stored: Callable[[SavedModel], SavedModel] = lambda saved: saved
    remark: Callable[[SavedModel], str] = lambda _: ""
    check: Callable[[], None] = lambda: None

    @property
    def plugin(self) -> ExportFormat:
        """The plug-in that `export` and `verify` use."""
        mark = RECEIPT_FILE if self.weights_file else None
        return ExportFormat(self.write, mark=mark, verify=self.verify)

    def write(self, saved: SavedModel, request: ExportRequest) -> dict[Path, bytes]:
        """Return the content of each file of an export.

        Raises:
            ConfigError: the program cannot run the model, or the sources of the model have
                been edited.
            CheckpointError: a weight is too large for float32, or the file would be too large.
        """
        check_exportable(saved)
        check_unedited("the exported model")
        self.check()
        output, tokenizer = request.output, saved.tokenizer
        tensors = self.tensors(saved.model, saved.weights)
        receipt = make_receipt(self.stored(saved), self.name, output.name)
        parts = [part for file in self.files(receipt, tokenizer, tensors).values() for part in file]
        digest = _sha256_of([part for part in parts if isinstance(part, Numbers)])
        receipt = receipt.model_copy(update={"weights_sha256": digest})
        files = self.files(receipt, tokenizer, tensors)
        for note in filter(None, (self.remark(saved), f"next: {self.following(output)}")):
            request.note(note)
        return {output / name: b"".join(file) for name, file in files.items()}

    def verify(self, path: Path) -> Verification | None:
        """Compare the program's results with the receipt's; return None if there is no receipt."""
        receipt = self.read(path)
        return compare(receipt, self.run(path)).verification if receipt else None

    def read(self, path: Path) -> Receipt | None:
        """Check an export that may be untrusted; return its receipt, or None if it has none.

        Raises:
            ConfigError: a required extra is not installed.
            CheckpointError: a file cannot be read, or differs from what microgpt writes.
        """
        is_directory = bool(self.weights_file)
        file = path / RECEIPT_FILE if is_directory else path
        if path.is_dir() != is_directory or not file.exists():
            return None
        content = read(file, MAX_FILE)
        found = [content] if is_directory else IN_FILE.findall(content)[:1]
        if not found:
            return None
        n_bytes = len(read(path / self.weights_file, MAX_FILE))
        receipt = read_receipt(found[0].decode(errors="replace"), path, n_bytes)
        if receipt.format != self.name:
            return None
        self.check()
        with damaged(path):
            tokenizer = receipt.restored_tokenizer(path)
            tensors = self.tensors(receipt.model, zero_weights(receipt.model))
            files = self.files(receipt, tokenizer, tensors)
        weights = [
            part for name, parts in files.items() for part in _checked(path / name, parts, receipt)
        ]
        if is_directory:
            _check_no_others(path, files.keys())
        if _sha256_of(weights) != receipt.weights_sha256:
            raise CheckpointError(f"{path} is damaged: its weights are not those of its receipt")
        return receipt


def check_exportable(saved: SavedModel) -> None:
    """Raise ConfigError or CheckpointError if other programs cannot run a model."""
    if saved.extra:
        raise ConfigError(
            "other programs cannot compare messages with the wordings of a character or table; use "
            "--format html, or serve the model"
        )
    if (n := saved.model.n_layer) > MAX_LAYERS:
        raise ConfigError(f"exports have at most {MAX_LAYERS} layers, not {n}; use --format html")
    if 5 * count_params(saved.model) > MAX_FILE:
        raise CheckpointError(f"an export has at most {MAX_FILE:,} bytes; use safetensors")


def zero_weights(model: ModelConfig) -> Arrays:
    """Return weights of 0, to compute the bytes of an export that do not depend on the weights."""
    return {name: np.zeros(shape, "float32") for name, shape in weight_shapes(model).items()}


@contextmanager
def running(program: str) -> Iterator[None]:
    """Convert any exception of llama.cpp, onnxruntime or Transformers to a CheckpointError."""
    try:
        yield
    except Exception as error:
        problem = printable(" ".join(str(error).split()))
        raise CheckpointError(f"{program} cannot run the model: {problem}") from error


def _checked(path: Path, parts: Sequence[bytes], receipt: Receipt) -> Iterator[bytes]:
    """Yield a file's weights; raise CheckpointError if any other byte differs from `parts`."""
    content, at = read(path, MAX_FILE), 0
    is_equal = len(content) == sum(map(len, parts))
    for part in parts:
        found = content[at : at + len(part)]
        at += len(part)
        if isinstance(part, Numbers):
            is_equal &= part.pattern.fullmatch(found) is not None
            yield found
        else:
            is_equal &= found == part
    if not is_equal:
        raise CheckpointError(
            f"{path} differs from what this version of microgpt writes for this model; "
            f"{printable(receipt.created_by)} wrote it, or it has been changed since"
        )


def _check_no_others(directory: Path, names: Collection[str]) -> None:
    """Raise CheckpointError if a directory has extra files, which other programs might read."""
    for other in sorted(each.name for each in directory.iterdir()):
        if other not in names and not other.startswith(".") and not other.endswith(ALSO):
            raise CheckpointError(
                f"{directory} contains a file that microgpt has not written: "
                f"{printable(other)}; remove it"
            )


def _sha256_of(parts: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()
