"""Model directories, written atomically and validated on load.

    weights.json         {"wte": [[…], …], …}: the matrices of `weight_shapes` as lists of rows
    model.safetensors    the same matrices in safetensors format, instead of weights.json
    tokenizer.json       the vocabulary of a subword tokenizer
    meta.json            model shape, characters and metadata of the training run
    documents.crc32      hashes of the training documents; see `document_hashes`

evolve-rust and MoonBase write only weights.json and meta.json; `load` reads their directories too.
`microgpt_exports.imports` reads those of a newer MoonBase, and other checkpoints.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from microgpt.config import DOCUMENT_HASHES, ModelConfig, WeightsFormat, check_path
from microgpt.data.tokenizers import TOKENIZERS
from microgpt.errors import CheckpointError, ConfigError
from microgpt.files.atomic_files import (
    as_argument,
    cannot_write,
    check_is_directory,
    committed_path,
    publish,
    read_committed,
    read_consistently,
)
from microgpt.files.directory_lock import DirectoryLock
from microgpt.flat_weights import by_name, count_params
from microgpt.state import TrainedModel, TrainResult
from microgpt.storage.document_hashes import hashes_file
from microgpt.storage.meta import (
    MAX_META_BYTES,
    MAX_TOKENIZER_BYTES,
    META,
    STATE,
    STATE_DESCRIPTION,
    Meta,
    meta_of,
    read_meta,
    restore_tokenizer,
)
from microgpt.storage.saved_model import SavedModel
from microgpt.storage.weights_file import (
    WEIGHTS_FILES,
    check_fits,
    decode_weights,
    encode_weights,
    max_bytes,
)

TOKENIZER = "tokenizer.json"
# Files of the training run that made a model.
TRAINING = (STATE_DESCRIPTION, STATE)
MOONBASE_WEIGHTS = "weights.safetensors"
REMEDY = "use a directory written by `microgpt train`, or list the models here with `microgpt list`"
MAX_IN_JSON = 1_000_000  # maximum number of weights to save as JSON by default (22 MB)


def save(
    result: TrainResult | SavedModel,
    directory: str | Path,
    *,
    weights_format: WeightsFormat | None = None,
    half: bool = False,
) -> None:
    """Write a model directory atomically, replacing any existing model.

    A concurrent `load` reads either the old model or the new one. Concurrent calls for the same
    directory wait for each other. The default format is JSON for up to a million weights. If a
    copy of a loaded model is replaced, the files of its training are kept.

    Args:
        half: whether to round the weights to float16; only for safetensors.

    Raises:
        ConfigError: half is set and the format is JSON.
        CheckpointError: the directory cannot be written or is locked by a training run, or a weight
            is too large for float16.
    """
    check_path("directory", directory)
    path = Path(directory)
    files = encode_model(result, weights_format, half=half)
    with DirectoryLock(path):
        is_copy = isinstance(result, SavedModel) and has_copy(path, result)
        kept = [*TRAINING] if is_copy or not _has_ended(path) else []
        publish_model(path, files, [*kept, DOCUMENT_HASHES] if is_copy else kept)


def encode_model(
    result: TrainResult | SavedModel,
    weights_format: WeightsFormat | None = None,
    *,
    half: bool = False,
) -> dict[str, bytes]:
    """Return the content of each file that `save` writes, by file name."""
    if half and weights_format == "json":
        raise ConfigError("half precision requires safetensors; JSON stores full precision")
    is_small = count_params(result.model) <= MAX_IN_JSON
    weights_format = weights_format or ("json" if is_small and not half else "safetensors")
    dtype = "float16" if half else result.dtype
    content = encode_weights(result.model, result.weights, weights_format, dtype)
    files, tokenizer = {WEIGHTS_FILES[weights_format]: content}, result.tokenizer
    hashes = {"weights_sha256": _sha256(content)}
    if tokenizer.file:
        files[TOKENIZER] = tokenizer.file
        hashes["tokenizer_sha256"] = _sha256(tokenizer.file)
    if isinstance(result, SavedModel):
        meta = result.meta
    else:
        meta = meta_of(result, result.plan, result.state, result.test_loss)
        if known := hashes_file(result.documents, result.config.text):
            files[DOCUMENT_HASHES] = known
            hashes["documents_sha256"] = _sha256(known)
    description = meta.model_copy(update=hashes).model_dump_json(indent=2, exclude_none=True)
    return files | {META: description.encode() + b"\n"}


def load(directory: str | Path) -> SavedModel:
    """Load the model in a directory, or the weights of its training run if there is no model yet.

    Raises:
        CheckpointError: a file is missing, damaged, in an unknown format, or belongs to another
            model; the message names the file and the location of the error.
    """
    check_path("directory", directory)
    directory = Path(directory)
    check_is_directory(directory, REMEDY)
    return read_consistently(directory, lambda: _load(directory))


def has_model(directory: Path) -> bool:
    """Return whether a directory contains a weights file."""
    return any(os.path.exists(committed_path(directory, name)) for name in WEIGHTS_FILES.values())


def is_model_directory(directory: Path) -> bool:
    """Return whether a directory contains a model, a damaged one, or an unfinished training run."""
    about = (committed_path(directory, name) for name in (META, STATE_DESCRIPTION))
    return has_model(directory) or any(map(os.path.exists, about))


def has_copy(directory: Path, saved: SavedModel) -> bool:
    """Return whether a directory contains a copy of `saved` that was written by microgpt."""
    hashes = {"weights_sha256", "tokenizer_sha256"}
    with suppress(CheckpointError):
        found, wanted = (m.model_dump(exclude=hashes) for m in (read_meta(directory), saved.meta))
        return found == wanted and saved.meta.created_at is not None
    return False


def publish_model(directory: Path, files: Mapping[str, bytes], kept: Collection[str]) -> None:
    """Write a model to a locked directory, and remove the old one's files that are not kept."""
    try:
        old: Collection[str] = ()  # without a model, these files belong to other programs
        if has_model(directory):
            old = (*WEIGHTS_FILES.values(), TOKENIZER, DOCUMENT_HASHES, *TRAINING)
        publish(directory, files, is_held=True)
        for other in old:
            if other not in files and other not in kept:
                (directory / other).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(directory, error) from error


def _has_ended(directory: Path) -> bool:
    """Return whether the training run in a directory has ended, so that it cannot be resumed."""
    if not committed_path(directory, STATE_DESCRIPTION).exists():
        return True
    with suppress(CheckpointError, ValueError, TypeError, KeyError):
        content = read_committed(directory, STATE_DESCRIPTION, MAX_META_BYTES)
        return bool(json.loads(content)["status"] == "ended")
    return False


def _load(directory: Path) -> SavedModel:
    if not has_model(directory):
        has_state = committed_path(directory, STATE).exists()
        if not has_state and (directory / MOONBASE_WEIGHTS).exists():
            raise CheckpointError(
                f"{directory} is a checkpoint of MoonBase ({MOONBASE_WEIGHTS}); convert it with: "
                f"microgpt import {as_argument(directory)} --model NAME"
            )
        if committed_path(directory, STATE_DESCRIPTION).exists():
            return _load_unfinished(directory)
        if not committed_path(directory, META).exists():
            raise CheckpointError(f"{directory} has no model; {REMEDY}")
    return _load_finished(directory)


def _load_finished(directory: Path) -> SavedModel:
    meta = read_meta(directory)
    try:
        model = meta.model()
        check_fits(model)
    except ConfigError as error:
        raise CheckpointError(f"{directory / META}: {error}") from error
    file = None
    if TOKENIZERS[meta.tokenizer].has_file:
        file = directory / TOKENIZER, read_committed(directory, TOKENIZER, MAX_TOKENIZER_BYTES)
        if meta.tokenizer_sha256 not in (None, _sha256(file[1])):
            raise _mismatch(file[0])
    path, content = _read_weights(directory, meta, model)
    tokenizer = restore_tokenizer(directory / META, meta, file, model.vocab_size)
    weights = decode_weights(content, path, model)
    return SavedModel(model, weights, tokenizer, meta.dtype, meta)


def _read_weights(directory: Path, meta: Meta, model: ModelConfig) -> tuple[Path, bytes]:
    """Return the path and the content of the weights file whose hash is correct.

    An interrupted save can leave that of the old model beside it.
    """
    names = [name for name in WEIGHTS_FILES.values() if committed_path(directory, name).exists()]
    for name in names or ["weights.json"]:
        path = directory / name
        content = read_committed(directory, name, max_bytes(path, model))
        if meta.weights_sha256 in (None, _sha256(content)):
            return path, content
    raise _mismatch(path)


def _mismatch(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} does not match {META} (its sha256 differs); "
        "restore both files, or train the model again"
    )


def _load_unfinished(directory: Path) -> SavedModel:
    """Load the model of a training run as if the run had ended at its checkpoint."""
    from microgpt.storage.training_directory import read_training

    plan, state, _ = read_training(directory)
    if plan.ensemble and not state.step:
        raise CheckpointError(
            f"{directory} has no model yet, because its teachers are trained first; go on with "
            f"microgpt train --resume {as_argument(directory)}"
        )
    steps = plan.config.steps
    weights = by_name(plan.model, state.final_weights(steps).tolist())
    model = plan.model, weights, plan.tokenizer, plan.dtype
    meta = meta_of(TrainedModel(*model), plan, state)
    return SavedModel(*model, meta, f"at step {state.step} of {steps}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
