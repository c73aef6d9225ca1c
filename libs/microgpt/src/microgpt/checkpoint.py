"""Model directories: the weights and meta.json, written whole or not at all, checked when read.

    weights.json         {"wte": [[…], …], …}: the matrices of `weight_shapes`, a list of rows each
    model.safetensors    the same in another format
    meta.json            the shape, the alphabet, and how the model came about

The first and the last are what the seed systems wrote, and theirs are read. This module knows
nothing of how a model is trained or used.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from microgpt.config import MAX_SIZE, DType, ModelConfig, TextKind
from microgpt.directory_lock import is_held
from microgpt.errors import CheckpointError, ConfigError, MicrogptError
from microgpt.model import count_params
from microgpt.state import TrainedModel, TrainResult
from microgpt.tokenizer import SPECIAL_TOKENS, CharTokenizer
from microgpt.validation import first_problem
from microgpt.value import total
from microgpt.weights_file import WEIGHTS_FILES, WeightsFormat, decode_weights, encode_weights
from microgpt.whole_files import as_argument, described, publish, read, remove_leftovers, settle

FORMAT_VERSION = 1
META, HASH = "meta.json", "weights_sha256"
STATE_DESCRIPTION = "train_state.json"  # see `training_directory`
MOST_IN_JSON = 1_000_000  # weights: 22 MB; a file that nobody would read any more

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
    the new meta.json where it was waiting.

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
    _publish(Path(directory), WEIGHTS_FILES[weights_format], content, _describe(result))


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
    _publish(Path(directory), name, content, saved.meta)
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
    weights_path, content, meta_path, meta = _find(directory)
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
    weights = decode_weights(content, weights_path, model)
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


def _publish(directory: Path, name: str, content: bytes, meta: Meta) -> None:
    """Write the weights and their description, and remove those in another format."""
    meta = meta.model_copy(update={HASH: hashlib.sha256(content).hexdigest()})
    description = meta.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
    publish(directory, {name: content, META: description})
    for other in set(WEIGHTS_FILES.values()) - {name}:
        (directory / other).unlink(missing_ok=True)
    if not is_held(directory):  # a training that holds it may have a file waiting there
        remove_leftovers(directory)


def _find(directory: Path) -> tuple[Path, bytes, Path, Meta]:
    """Return the path and content of the weights, and the path and content of their description.

    Where a save in another format was killed there may be two files of weights.
    """
    try:
        return _look(directory)
    except CheckpointError:
        return _look(directory)  # another process may just have been replacing them


def _look(directory: Path) -> tuple[Path, bytes, Path, Meta]:
    if not has_model(directory) and (directory / STATE_DESCRIPTION).exists():
        raise CheckpointError(
            f"there is no model in {directory} yet: its training has not ended; go on with it: "
            f"microgpt train --resume {as_argument(directory)}"
        )
    present = [name for name in WEIGHTS_FILES.values() if (directory / name).exists()]
    mismatch = None
    for name in present or ["weights.json"]:
        content, meta_path = described(directory, name, META, HASH)
        meta = _parse_meta(read(meta_path), meta_path)
        if meta.weights_sha256 in (None, hashlib.sha256(content).hexdigest()):
            return directory / name, content, meta_path, meta
        mismatch = mismatch or directory / name
    raise CheckpointError(
        f"{mismatch} is not the file that {META} describes (its sha256 differs); "
        "train the model again, or restore both files"
    )


def _describe(result: TrainResult) -> Meta:
    config, losses, data = result.config, result.state.recent_losses, result.data
    best = result.state.best
    training = {
        "seed": config.seed,
        "steps": result.state.step,
        "batch_size": config.batch_size,
        "lr": config.lr,
        "loss_on": config.loss_on if result.tokenizer.is_chat else None,
        "text": config.text if config.text == "stream" else None,
        "long_docs": config.long_docs if config.text == "lines" else None,
        "data_sha256": data.sha256,
        "n_docs": data.n_docs,
        "val_fraction": data.val_fraction or None,
        "test_fraction": data.test_fraction or None,
        "train_loss": total(losses) / len(losses) if losses else None,
        "val_loss": result.val_loss,
        "test_loss": result.test_loss,
        "best_step": best.step if best else None,
        "preset": result.preset,
        "parent_sha256": result.parent_sha256,
        "genome": result.genome_sha256,
        "seconds": round(result.seconds, 3),
    }
    return Meta(
        **asdict(result.model),
        chars=result.tokenizer.chars,
        special_tokens=SPECIAL_TOKENS if result.tokenizer.is_chat else None,
        dtype=result.dtype,
        created_by=f"microgpt {version('microgpt-lib')}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        training={name: fact for name, fact in training.items() if fact is not None},
    )


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
