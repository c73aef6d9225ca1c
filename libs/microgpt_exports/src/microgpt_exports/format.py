"""A format of another program: how exports in it are written with a receipt, and verified.

An export is accepted only if all but its weights equals what microgpt writes for its receipt. So
the other program reads nothing else of a file that may be untrusted.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    check_extra,
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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

MAX_FILE = 2**31 - 1  # bytes; protobuf reads no more
RECEIPT, RECEIPT_FILE = "microgpt.receipt", "receipt.json"  # its key in a file; in a directory
# The key, the length of the receipt and the receipt, which has no control characters.
IN_FILE = re.compile(RECEIPT.encode() + rb'.{0,13}?(\{"format_version"[^\x00-\x1f]*\})', re.DOTALL)
ALSO = (".md", "LICENSE")  # ends of the names of other files that a directory may have


class Numbers(bytes):
    """Weights in a file. All other parts of an export follow from its receipt."""

    def may_be(self, _: bytes) -> bool:
        """Return whether bytes of this length may be other weights."""
        return True


@dataclass(frozen=True)
class Exported:
    """What the files of a format are made of."""

    receipt: str  # in JSON; empty while the weights are hashed
    name: str  # of the file or the directory
    model: ModelConfig
    tokenizer: Tokenizer
    tensors: "Arrays"


@dataclass(frozen=True)
class Format:
    """How a program reads models.

    Args:
        name: its name in `export --format`.
        tensors: converts the weights of a model, in the order of `weight_shapes`.
        files: returns the parts of each file, by its name; "" is the output itself.
        run: opens an export in the program.
        weights_file: the file with the weights, if an export is a directory.
        following: returns the command that one runs next.
        stored: returns the model with the weights that an export stores.
        also: tells what else a person should know, and returns files beside the export.
        requires: the arguments of `check_extra`, if packages are needed to write an export.
    """

    name: str
    tensors: "Callable[[ModelConfig, Mapping[str, Any]], Arrays]"
    files: Callable[[Exported], Mapping[str, Sequence[bytes]]]
    run: Callable[[Path], Program]
    weights_file: str = ""
    following: Callable[[Path], str] = lambda path: f"microgpt verify {as_argument(path)}"
    stored: Callable[[SavedModel], SavedModel] = lambda saved: saved
    also: Callable[[SavedModel, ExportRequest], Mapping[Path, bytes]] = lambda *_: {}
    requires: tuple[str, ...] = ()

    @property
    def plugin(self) -> ExportFormat:
        """The format for `export` and `verify`."""
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
        self._check_extra()
        tensors, name = self.tensors(saved.model, saved.weights), request.output.name
        exported = Exported("", name, saved.model, saved.tokenizer, tensors)
        parts = [part for file in self.files(exported).values() for part in file]
        digest = _sha256_of(part for part in parts if isinstance(part, Numbers))
        receipt = make_receipt(self.stored(saved), self.name, name, digest)
        files = self.files(replace(exported, receipt=receipt.to_json()))
        request.note(f"next: {self.following(request.output)}")
        written = {request.output / file: b"".join(parts) for file, parts in files.items()}
        return written | dict(self.also(saved, request))

    def verify(self, path: Path) -> Verification | None:
        """Compare what the program computes with the receipt; None if there is no receipt."""
        receipt = self.read(path)
        if receipt is None:
            return None
        found = compare(receipt, self.run(path))
        return Verification(found.lines, found.passes)

    def read(self, path: Path) -> Receipt | None:
        """Check an export that may be untrusted; return its receipt, or None if it has none.

        Raises:
            ConfigError: an extra is missing.
            CheckpointError: a file cannot be read, or is not what microgpt writes.
        """
        text, n_bytes = self._receipt_in(path)
        if not text:
            return None
        receipt = read_receipt(text, path, n_bytes)
        if receipt.format != self.name:
            return None
        self._check_extra()
        with damaged(path):
            tokenizer, model = receipt.restored_tokenizer(path), receipt.model
            tensors = self.tensors(model, zero_weights(model))
            files = self.files(Exported(text, receipt.name, model, tokenizer, tensors))
        found = [
            part for name, parts in files.items() for part in _checked(path / name, parts, receipt)
        ]
        if self.weights_file:
            _check_no_others(path, files.keys())
        if _sha256_of(found) != receipt.weights_sha256:
            raise CheckpointError(f"{path} is damaged: its weights are not those of its receipt")
        return receipt

    def _check_extra(self) -> None:
        if self.requires:
            check_extra(*self.requires)

    def _receipt_in(self, path: Path) -> tuple[str, int]:
        """Return the receipt of an export, if it has one, and the size of the file with weights."""
        if path.is_dir():
            if not (self.weights_file and (path / RECEIPT_FILE).exists()):
                return "", 0
            content = read(path / RECEIPT_FILE, MAX_FILE)
            return content.decode(errors="replace"), len(read(path / self.weights_file, MAX_FILE))
        content = b"" if self.weights_file else read(path, MAX_FILE)
        found = IN_FILE.search(content)
        return found[1].decode(errors="replace") if found else "", len(content)


def check_exportable(saved: SavedModel) -> None:
    """Raise an error if other programs cannot do what a model does."""
    if saved.extra:
        raise ConfigError(
            "a plug-in chooses what the model reads before it replies, which other programs cannot "
            "do; use --format html"
        )
    if (n := saved.model.n_layer) > MAX_LAYERS:
        raise ConfigError(f"exports have at most {MAX_LAYERS} layers, not {n}; use --format html")
    if 5 * count_params(saved.model) > MAX_FILE:
        raise CheckpointError(f"an export has at most {MAX_FILE:,} bytes; use safetensors")


def zero_weights(model: ModelConfig) -> "Arrays":
    """Return weights that are all 0, for what does not depend on them."""
    import numpy as np

    return {name: np.zeros(shape, "float32") for name, shape in weight_shapes(model).items()}


@contextmanager
def running(program: str) -> Iterator[None]:
    """Convert any exception of a program to a CheckpointError; they have no common base class."""
    try:
        yield
    except Exception as error:
        problem = printable(" ".join(str(error).split()))
        raise CheckpointError(f"{program} cannot run the model: {problem}") from error


def _checked(path: Path, parts: Sequence[bytes], receipt: Receipt) -> Iterator[bytes]:
    """Yield the weights of a file; raise CheckpointError if something else of it differs."""
    content, at = read(path, MAX_FILE), 0
    is_equal = len(content) == sum(map(len, parts))
    for part in parts:
        found = content[at : at + len(part)]
        at += len(part)
        if isinstance(part, Numbers):
            is_equal &= part.may_be(found)
            yield found
        else:
            is_equal &= found == part
    if not is_equal:
        raise CheckpointError(
            f"{path} differs from what this version of microgpt writes for this model; "
            f"{printable(receipt.created_by)} wrote it, or it has been changed since"
        )


def _check_no_others(directory: Path, names: Collection[str]) -> None:
    """Raise CheckpointError if a directory has files that its program might also read."""
    for other in sorted(each.name for each in directory.iterdir()):
        if other not in names and not other.startswith(".") and not other.endswith(ALSO):
            raise CheckpointError(
                f"{directory} contains a file that microgpt has not written: "
                f"{printable(other)}; remove it"
            )


def _sha256_of(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
