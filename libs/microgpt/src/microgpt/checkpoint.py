"""Model directories: the weights and meta.json, written whole or not at all, checked when read.

    weights.json         {"wte": [[…], …], …}: the matrices of `weight_shapes`, a list of rows each
    model.safetensors    the same in another format
    tokenizer.json       the pieces of text that are tokens, where they are not characters
    meta.json            the shape, the alphabet, and how the model came about

The first and the last are what the seed systems wrote, and theirs are read. This module knows
nothing of how a model is trained or used.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from microgpt.config import TextKind
from microgpt.directory_lock import is_held
from microgpt.errors import CheckpointError, ConfigError, MicrogptError
from microgpt.meta import META, Meta, meta_of, parse_meta
from microgpt.model import count_params
from microgpt.state import TrainedModel, TrainResult
from microgpt.tokenizer import Tokenizer
from microgpt.vocabulary import file_of, restore
from microgpt.weights_file import WEIGHTS_FILES, WeightsFormat, decode_weights, encode_weights
from microgpt.whole_files import as_argument, described, publish, read, remove_leftovers, settle

HASH = "weights_sha256"  # the key of meta.json
TOKENIZER = "tokenizer.json"
STATE_DESCRIPTION = "train_state.json"  # see `training_directory`
MOST_IN_JSON = 1_000_000  # weights: 22 MB; a file that nobody would read any more


@dataclass(frozen=True)
class SavedModel(TrainedModel):
    """A model that was read from a directory, and where it came from."""

    meta: Meta

    @property
    def text(self) -> TextKind:
        """Whether it has learnt from lines or from running text."""
        return "stream" if self.meta.training.get("text") == "stream" else "lines"


def save(
    result: TrainResult, directory: str | Path, *, weights_format: WeightsFormat | None = None
) -> None:
    """Write a model directory; a model that is already there is replaced, nothing else.

    A new directory appears whole. In an existing one the weights are renamed into place first and
    meta.json, which has their hash, last; `load` can tell what was killed in between, and finds
    what is new where it was waiting.

    Args:
        result: what `train` returns.
        directory: where to.
        weights_format: "json" or "safetensors"; by default JSON up to a million weights.

    Raises:
        CheckpointError: the directory cannot be written.
    """
    n_params = count_params(result.model)
    weights_format = weights_format or ("json" if n_params <= MOST_IN_JSON else "safetensors")
    content = encode_weights(result.model, result.weights, weights_format, result.dtype)
    name = WEIGHTS_FILES[weights_format]
    _publish(Path(directory), name, content, meta_of(result), result.tokenizer)


def export(
    saved: SavedModel,
    directory: str | Path,
    *,
    weights_format: WeightsFormat = "safetensors",
    half: bool = False,
) -> Path:
    """Write a copy of a model, or the same one in another format; return the file of its weights.

    Args:
        saved: what `load` returns.
        directory: where to; it may be where it was read from.
        weights_format: "json" or "safetensors".
        half: round the weights to numbers of half the size, with three digits: safetensors only.

    Raises:
        ConfigError: half was asked for in JSON.
        CheckpointError: the directory cannot be written, or a weight is too large for half.
    """
    if half and weights_format == "json":
        raise ConfigError("half precision is for safetensors; JSON has no numbers of that size")
    content = encode_weights(
        saved.model, saved.weights, weights_format, "float16" if half else saved.dtype
    )
    name = WEIGHTS_FILES[weights_format]
    _publish(Path(directory), name, content, saved.meta, saved.tokenizer)
    return Path(directory) / name


def load(directory: str | Path) -> SavedModel:
    """Return the model of a directory.

    Raises:
        CheckpointError: a file is missing, damaged, of another model or of an unknown format; the
            message names the file and the place in it.
    """
    directory = Path(directory)
    if not os.path.isdir(directory):  # unlike Path.is_dir, never an OSError
        what = "is not a directory" if os.path.exists(directory) else "does not exist"
        raise CheckpointError(f"{directory} {what}; name one that `microgpt train` has written")
    found = _find(directory)
    meta = found.meta
    try:
        model = meta.model()
    except MicrogptError as error:
        raise CheckpointError(f"{found.meta_path}: {error}") from error
    tokenizer = restore(
        found.meta_path,
        meta.chars,
        found.tokenizer,
        model.vocab_size,
        is_chat=meta.special_tokens is not None,
    )
    weights = decode_weights(found.weights, found.weights_path, model)
    return SavedModel(
        model=model, weights=weights, tokenizer=tokenizer, dtype=meta.dtype, meta=meta
    )


def has_model(directory: Path) -> bool:
    """Return whether there are weights in a directory."""
    return any((directory / name).exists() for name in WEIGHTS_FILES.values())


def settle_model(directory: Path) -> None:
    """Finish what a save that was killed has begun; see `settle`."""
    for name in WEIGHTS_FILES.values():
        settle(directory, name, META, HASH)


def _publish(directory: Path, name: str, content: bytes, meta: Meta, tokenizer: Tokenizer) -> None:
    """Write weights, tokenizer and their description, and remove what is of another format."""
    files = {name: content}
    if pieces := file_of(tokenizer):
        files[TOKENIZER] = pieces
    hashes = {
        HASH: hashlib.sha256(content).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(pieces).hexdigest() if pieces else None,
    }
    description = meta.model_copy(update=hashes).model_dump_json(indent=2, exclude_none=True)
    files[META] = description.encode() + b"\n"
    publish(directory, files)
    for other in {*WEIGHTS_FILES.values(), TOKENIZER} - files.keys():
        (directory / other).unlink(missing_ok=True)
    if not is_held(directory):  # a training that holds it may have a file waiting there
        remove_leftovers(directory)


@dataclass(frozen=True)
class _Files:
    """What belongs together in a directory: contents, and where they are."""

    weights_path: Path
    weights: bytes
    meta_path: Path
    meta: Meta
    tokenizer: tuple[Path, bytes] | None


def _find(directory: Path) -> _Files:
    """Return the files of a model.

    Where a save in another format was killed there may be two files of weights.
    """
    try:
        return _look(directory)
    except CheckpointError:
        return _look(directory)  # another process may just have been replacing them


def _look(directory: Path) -> _Files:
    if not has_model(directory) and (directory / STATE_DESCRIPTION).exists():
        raise CheckpointError(
            f"there is no model in {directory} yet: its training has not ended; go on with it: "
            f"microgpt train --resume {as_argument(directory)}"
        )
    present = [name for name in WEIGHTS_FILES.values() if (directory / name).exists()]
    mismatch = None
    for name in present or ["weights.json"]:
        content, meta_path = described(directory, name, META, HASH)
        meta = parse_meta(read(meta_path), meta_path)
        tokenizer = _read_tokenizer(directory, meta_path) if meta.tokenizer != "char" else None
        if not _is(content, meta.weights_sha256):
            mismatch = mismatch or directory / name
        elif tokenizer and not _is(tokenizer[1], meta.tokenizer_sha256):
            mismatch = mismatch or tokenizer[0]
        else:
            return _Files(directory / name, content, meta_path, meta, tokenizer)
    raise CheckpointError(
        f"{mismatch} is not the file that {META} describes (its sha256 differs); "
        "train the model again, or restore both files"
    )


def _is(content: bytes, sha256: str | None) -> bool:
    return sha256 in (None, hashlib.sha256(content).hexdigest())


def _read_tokenizer(directory: Path, meta_path: Path) -> tuple[Path, bytes]:
    """Return tokenizer.json: like the meta.json that belongs to it, it may still wait."""
    waiting = meta_path.with_name(TOKENIZER)
    path = waiting if waiting.is_file() else directory / TOKENIZER
    return path, read(path)
