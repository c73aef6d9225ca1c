"""Model directories: the weights and meta.json, written atomically and checked when read.

    weights.json         {"wte": [[…], …], …}: the matrices of `weight_shapes`, a list of rows each
    model.safetensors    the same in another format
    tokenizer.json       the subword tokens, if tokens are not characters
    meta.json            the shape, the characters, and how the model was trained

Directories of the seed systems, with the first and the last alone, are read too.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from microgpt.config import TextKind, WeightsFormat
from microgpt.data.tokenizer import Tokenizer
from microgpt.data.tokenizer_io import MAX_TOKENIZER_BYTES, file_of, restore
from microgpt.errors import CheckpointError, ConfigError, MicrogptError
from microgpt.files.atomic_files import (
    as_argument,
    cannot_write,
    committed_path,
    publish,
    read,
    read_consistently,
)
from microgpt.files.directory_lock import DirectoryLock
from microgpt.memory_limit import check_memory
from microgpt.model import count_params
from microgpt.state import TrainedModel, TrainResult
from microgpt.storage.meta import MAX_META_BYTES, META, Meta, meta_of, parse_meta
from microgpt.storage.weights_file import WEIGHTS_FILES, decode_weights, encode_weights, max_bytes

HASH = "weights_sha256"  # the key of meta.json
TOKENIZER = "tokenizer.json"
STATE_DESCRIPTION = "train_state.json"  # what a training that has not ended has left
BYTES_PER_WEIGHT = 32  # of a model that is loaded: a Python float and a pointer to it
MOST_IN_JSON = 1_000_000  # weights: 22 MB; a file that nobody would read any more


@dataclass(frozen=True)
class SavedModel(TrainedModel):
    """A model that was read from a directory, with its meta.json."""

    meta: Meta

    @property
    def text(self) -> TextKind:
        """Whether it has learnt from lines or from running text."""
        return "stream" if self.meta.training.get("text") == "stream" else "lines"


def save(
    result: TrainResult, directory: str | Path, *, weights_format: WeightsFormat | None = None
) -> None:
    """Write a model directory; a model that is already there is replaced, nothing else.

    A new directory appears whole; in an existing one `load` finds the old model or the new one.
    Another save into the same directory is waited for.

    The format is by default JSON up to a million weights.

    Raises:
        CheckpointError: the directory cannot be written, or a training holds it.
    """
    path = Path(directory)
    files = encode_model(result, weights_format)
    with DirectoryLock(path):
        publish_model(path, files)


def encode_model(
    result: TrainResult, weights_format: WeightsFormat | None = None
) -> dict[str, bytes]:
    """Return the files of a model, by name; see `save`."""
    n_params = count_params(result.model)
    weights_format = weights_format or ("json" if n_params <= MOST_IN_JSON else "safetensors")
    content = encode_weights(result.model, result.weights, weights_format, result.dtype)
    return _files(WEIGHTS_FILES[weights_format], content, meta_of(result), result.tokenizer)


def export(
    saved: SavedModel,
    directory: str | Path,
    *,
    weights_format: WeightsFormat = "safetensors",
    half: bool = False,
) -> Path:
    """Write a copy of a model, or the same one in another format; return the file of its weights.

    Args:
        directory: may be the one that it was read from.
        half: round the weights to float16; safetensors only.

    Raises:
        ConfigError: half was asked for in JSON.
        CheckpointError: the directory cannot be written, a training holds it, or a weight is too
            large for half.
    """
    if half and weights_format == "json":
        raise ConfigError("half precision is for safetensors; JSON has no numbers of that size")
    content = encode_weights(
        saved.model, saved.weights, weights_format, "float16" if half else saved.dtype
    )
    path, name = Path(directory), WEIGHTS_FILES[weights_format]
    files = _files(name, content, saved.meta, saved.tokenizer)
    with DirectoryLock(path):
        publish_model(path, files)
    return path / name


def load(directory: str | Path) -> SavedModel:
    """Return the model of a directory.

    Raises:
        CheckpointError: a file is missing, damaged, of another model or of an unknown format; the
            message names the file and the place in it.
    """
    directory = Path(directory)
    exists = os.path.exists(directory)  # first: a save may just be making it
    if not os.path.isdir(directory):  # unlike Path.is_dir, never an OSError
        what = "is not a directory" if exists else "does not exist"
        raise CheckpointError(f"{directory} {what}; name one that `microgpt train` has written")
    return read_consistently(directory, lambda: _load(directory))


def has_model(directory: Path) -> bool:
    """Return whether there are weights in a directory."""
    return any(committed_path(directory, name).exists() for name in WEIGHTS_FILES.values())


def publish_model(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a model into a locked directory, and remove those that it replaces."""
    try:
        publish(directory, files, is_held=True)
        for other in {*WEIGHTS_FILES.values(), TOKENIZER} - files.keys():
            (directory / other).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(directory, error) from error


def _files(name: str, content: bytes, meta: Meta, tokenizer: Tokenizer) -> dict[str, bytes]:
    """Return weights, tokenizer and their description, by the names of their files."""
    files = {name: content}
    if vocabulary := file_of(tokenizer):
        files[TOKENIZER] = vocabulary
    hashes = {
        HASH: hashlib.sha256(content).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(vocabulary).hexdigest() if vocabulary else None,
    }
    description = meta.model_copy(update=hashes).model_dump_json(indent=2, exclude_none=True)
    files[META] = description.encode() + b"\n"
    return files


def _load(directory: Path) -> SavedModel:
    """Return a model; where a save was killed there may be two files of weights."""
    if not has_model(directory) and committed_path(directory, STATE_DESCRIPTION).exists():
        raise CheckpointError(
            f"there is no model in {directory} yet: its training has not ended; go on with it: "
            f"microgpt train --resume {as_argument(directory)}"
        )
    meta_path = committed_path(directory, META)
    meta = parse_meta(read(meta_path, MAX_META_BYTES), meta_path)
    try:
        model = meta.model()
        check_memory(BYTES_PER_WEIGHT * count_params(model), "the model")
    except MicrogptError as error:
        raise CheckpointError(f"{meta_path}: {error}") from error
    file, mismatch = None, None
    if meta.tokenizer != "char":
        path = committed_path(directory, TOKENIZER)
        file = path, read(path, MAX_TOKENIZER_BYTES)
    present = [name for name in WEIGHTS_FILES.values() if committed_path(directory, name).exists()]
    for name in present or ["weights.json"]:
        path = committed_path(directory, name)
        content = read(path, max_bytes(path, model))
        if not _is(content, meta.weights_sha256):
            mismatch = mismatch or path
        elif file and not _is(file[1], meta.tokenizer_sha256):
            mismatch = mismatch or file[0]
        else:
            tokenizer = restore(meta_path, meta, file, model.vocab_size)
            weights = decode_weights(content, path, model)
            return SavedModel(model, weights, tokenizer, meta.dtype, meta)
    raise CheckpointError(
        f"{mismatch} is not the file that {META} describes (its sha256 differs); "
        "train the model again, or restore both files"
    )


def _is(content: bytes, sha256: str | None) -> bool:
    return sha256 in (None, hashlib.sha256(content).hexdigest())
