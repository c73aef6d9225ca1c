"""Model directories: weights.json and meta.json, written whole or not at all, checked when read.

    weights.json    {"wte": [[…], …], …}: the matrices of `weight_shapes`, a list of rows each
    meta.json       the shape, the alphabet, and how the model came about

The two are what the seed systems wrote, and theirs are read. This module knows nothing of how a
model is trained or used.
"""

import contextlib
import glob
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from microgpt.config import MAX_SIZE, DType, ModelConfig
from microgpt.errors import CheckpointError, MicrogptError
from microgpt.model import weight_shapes
from microgpt.state import TrainedModel, TrainResult
from microgpt.tokenizer import SPECIAL_TOKENS, CharTokenizer
from microgpt.validation import first_problem
from microgpt.value import total

FORMAT_VERSION = 1
WEIGHTS, META = "weights.json", "meta.json"
_N_RECENT = 100  # train_loss is the mean over this many last steps: one document says too little


_Count = Annotated[int, Field(ge=1, le=MAX_SIZE)]


def _check_json(facts: dict[str, Any]) -> dict[str, Any]:
    json.dumps(facts, allow_nan=False)  # pydantic reads nan, which is not JSON, into an Any
    return facts


class Meta(BaseModel):
    """meta.json, its keys in order: first what the seed systems wrote, then what may be absent."""

    model_config = ConfigDict(strict=True)

    vocab_size: _Count
    n_embd: _Count
    n_head: _Count
    n_layer: _Count
    block_size: _Count
    chars: tuple[str, ...]
    special_tokens: tuple[str, ...] | None = None
    format_version: _Count = FORMAT_VERSION
    weights_sha256: str | None = None
    n_ff_exp: _Count = ModelConfig.n_ff_exp
    init_std: float = ModelConfig.init_std
    dtype: DType = "float64"
    tokenizer: str = "char"
    created_by: str | None = None
    created_at: str | None = None
    training: Annotated[dict[str, Any], AfterValidator(_check_json)] = {}

    def model(self) -> ModelConfig:
        """Return the shape of the model."""
        names = [field.name for field in fields(ModelConfig)]
        return ModelConfig(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class SavedModel(TrainedModel):
    """A model that was read from a directory, and where it came from."""

    meta: Meta


def save(result: TrainResult, directory: str | Path) -> None:
    """Write a model directory; a model that is already there is replaced, nothing else.

    A new directory appears whole. In an existing one the weights are renamed into place first and
    meta.json, which has their hash, last; `load` can tell what was killed in between, and finds
    the new meta.json where it was waiting.

    Raises:
        CheckpointError: the directory cannot be written.
    """
    directory = Path(directory)
    weights = json.dumps(result.weights, separators=(",", ":")).encode()
    meta = _describe(result, hashlib.sha256(weights).hexdigest())
    described = meta.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
    try:
        staging = _make_staging(directory)
        try:
            _write(staging / WEIGHTS, weights)
            _write(staging / META, described)
            if directory.is_dir():
                os.replace(staging / WEIGHTS, directory / WEIGHTS)
            else:
                staging.rename(directory)
        except BaseException:
            if (staging / WEIGHTS).exists():  # else meta.json waits there for its weights
                shutil.rmtree(staging, ignore_errors=True)
            raise
        if staging.exists():
            os.replace(staging / META, directory / META)
    except OSError as error:
        raise _cannot_write(directory, error) from error
    for leftover in _stagings(directory):
        shutil.rmtree(leftover, ignore_errors=True)


def check_writable(directory: str | Path) -> None:
    """Find out now, rather than after an hour of training, whether `save` could write there.

    Raises:
        CheckpointError: it could not.
    """
    directory = Path(directory)
    try:
        shutil.rmtree(_make_staging(directory))
    except OSError as error:
        raise _cannot_write(directory, error) from error


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
    weights_path = directory / WEIGHTS
    content = _read(weights_path)
    sha256 = hashlib.sha256(content).hexdigest()
    meta_path = _find_meta(directory, sha256)
    meta = _parse_meta(_read(meta_path), meta_path)
    try:
        model = meta.model()
        tokenizer = CharTokenizer(meta.chars, is_chat=meta.special_tokens is not None)
    except MicrogptError as error:
        raise CheckpointError(f"{meta_path}: {error}") from error
    if tokenizer.vocab_size != model.vocab_size:
        raise CheckpointError(
            f"{meta_path}: vocab_size is {model.vocab_size}, but its characters and special tokens "
            f"make {tokenizer.vocab_size}"
        )
    if meta.weights_sha256 not in (None, sha256):
        raise CheckpointError(
            f"{weights_path} is not the file that {META} describes (its sha256 differs); "
            "train the model again, or restore both files"
        )
    weights = _parse_weights(content, weights_path, model)
    return SavedModel(
        model=model, weights=weights, tokenizer=tokenizer, dtype=meta.dtype, meta=meta
    )


def _describe(result: TrainResult, weights_sha256: str) -> Meta:
    config, losses = result.config, result.losses[-_N_RECENT:]
    training = {
        "seed": config.seed,
        "steps": result.state.step,
        "batch_size": config.batch_size,
        "lr": config.lr,
        "data_sha256": result.data_sha256,
        "n_docs": result.n_docs,
        "train_loss": total(losses) / len(losses) if losses else None,
        "seconds": round(result.seconds, 3),
    }
    return Meta(
        **asdict(result.model),
        chars=result.tokenizer.chars,
        special_tokens=SPECIAL_TOKENS if result.tokenizer.is_chat else None,
        weights_sha256=weights_sha256,
        dtype=result.dtype,
        created_by=f"microgpt {version('microgpt-lib')}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        training={name: fact for name, fact in training.items() if fact is not None},
    )


def _make_staging(directory: Path) -> Path:
    """Make a hidden directory on the same file system: inside, or beside one that is yet to be."""
    for path in (directory, *directory.parents):
        if path.is_dir():
            break
        if os.path.lexists(path):
            what = "a file" if path.exists() else "a link to nothing"
            raise CheckpointError(f"{path} is {what}; name a directory for the model")
    for file in (directory / WEIGHTS, directory / META):
        if file.is_dir():
            raise CheckpointError(f"{file} is a directory; name another one for the model")
    home, prefix = _staging_place(directory, inside=directory.is_dir())
    home.mkdir(parents=True, exist_ok=True)
    staging = home / f"{prefix}{uuid.uuid4().hex}"
    staging.mkdir()  # not tempfile.mkdtemp: it would become a model that its owner alone can read
    return staging


def _staging_place(directory: Path, *, inside: bool) -> tuple[Path, str]:
    """Return where the hidden directory of a save lies, and how its name begins."""
    return (directory, ".saving-") if inside else (directory.parent, f".{directory.name}.saving-")


def _stagings(directory: Path) -> Iterator[Path]:
    """Yield the hidden directories that saves of this model have left, if they were killed."""
    for inside in (True, False):
        home, prefix = _staging_place(directory, inside=inside)
        yield from home.glob(glob.escape(prefix) + "*")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _cannot_write(directory: Path, error: OSError) -> CheckpointError:
    return CheckpointError(f"cannot write to {directory}: {error.strerror}; name another directory")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error


def _find_meta(directory: Path, weights_sha256: str) -> Path:
    """Return meta.json, or the one that still waits because its save was killed."""
    for staging in _stagings(directory):
        waiting = staging / META
        if waiting.is_file() and not (staging / WEIGHTS).exists():
            with contextlib.suppress(CheckpointError):
                if _parse_meta(_read(waiting), waiting).weights_sha256 == weights_sha256:
                    return waiting
    return directory / META


def _parse_meta(content: bytes, path: Path) -> Meta:
    try:
        meta = Meta.model_validate_json(content)
    except ValidationError as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error
    if meta.format_version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format_version is {meta.format_version}, this microgpt reads up to "
            f"{FORMAT_VERSION}; update it"
        )
    if meta.tokenizer != "char":
        raise CheckpointError(f"{path}: unknown tokenizer {meta.tokenizer!r} (expected 'char')")
    if meta.special_tokens not in (None, SPECIAL_TOKENS):
        raise CheckpointError(f"{path}: special_tokens must be {list(SPECIAL_TOKENS)} or absent")
    return meta


_Finite = Annotated[float, Field(allow_inf_nan=False)]
_MATRICES = TypeAdapter(dict[str, list[list[_Finite]]], config=ConfigDict(strict=True))


def _parse_weights(
    content: bytes, path: Path, model: ModelConfig
) -> dict[str, tuple[tuple[float, ...], ...]]:
    try:
        matrices = _MATRICES.validate_json(content)
    except ValidationError as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error
    if model.n_layer > len(matrices):  # before a damaged n_layer fills the memory with names
        raise CheckpointError(f"{path} has too few matrices for n_layer {model.n_layer} of {META}")
    shapes = weight_shapes(model)
    missing, foreign = shapes.keys() - matrices.keys(), matrices.keys() - shapes.keys()
    if missing or foreign:
        problem = f"{min(missing)} is missing" if missing else f"{min(foreign)} does not belong"
        raise CheckpointError(f"{path}: {problem}, by {META}")
    for name, (rows, columns) in shapes.items():
        matrix = matrices[name]
        uneven = next((row for row in matrix if len(row) != columns), None)
        if len(matrix) != rows or uneven is not None:
            found = f"{len(matrix)} × {columns if uneven is None else len(uneven)}"
            raise CheckpointError(
                f"{path}: {name} is {found}, not {rows} × {columns} as {META} has it"
            )
    return {name: tuple(tuple(row) for row in matrices[name]) for name in shapes}
