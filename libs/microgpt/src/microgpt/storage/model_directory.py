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
from array import array
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from microgpt.config import (
    DOCUMENT_HASHES,
    WeightsFormat,
    check_path,
)
from microgpt.data.tokenizers import TOKENIZERS
from microgpt.errors import CheckpointError, ConfigError, MicrogptError
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

HASHES = ("weights_sha256", "tokenizer_sha256")  # keys in meta.json
TOKENIZER = "tokenizer.json"
# Files of the training run that made a model.
TRAINING = (STATE_DESCRIPTION, STATE, "history.jsonl")
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
        publish_model(path, files, kept=(DOCUMENT_HASHES, *TRAINING) if is_copy else ())


def encode_model(
    result: TrainResult | SavedModel,
    weights_format: WeightsFormat | None = None,
    *,
    half: bool = False,
) -> dict[str, bytes]:
    """Return the content of each file that `save` writes, by file name."""
    if half and weights_format == "json":
        raise ConfigError(
            "half precision requires the safetensors format; JSON stores full precision"
        )
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
    return any(committed_path(directory, name).exists() for name in WEIGHTS_FILES.values())


def is_model_directory(directory: Path) -> bool:
    """Return whether a directory contains a model, a damaged one, or an unfinished training run."""
    about = (committed_path(directory, name) for name in (META, STATE_DESCRIPTION))
    return has_model(directory) or any(map(os.path.exists, about))


def check_format(directory: Path) -> None:
    """Raise CheckpointError if a directory contains only a checkpoint of a newer MoonBase."""
    is_ours = has_model(directory) or committed_path(directory, STATE).exists()
    if (directory / MOONBASE_WEIGHTS).exists() and not is_ours:
        raise CheckpointError(
            f"{directory} is a checkpoint of MoonBase ({MOONBASE_WEIGHTS}); convert it with: "
            f"microgpt import {as_argument(directory)} --model NAME"
        )


def has_copy(directory: Path, saved: SavedModel) -> bool:
    """Return whether a directory contains a copy of `saved` that was written by microgpt."""
    hashes = dict.fromkeys(HASHES)
    with suppress(CheckpointError):
        meta = read_meta(directory)
        is_equal = meta.model_copy(update=hashes) == saved.meta.model_copy(update=hashes)
        return is_equal and meta.created_at is not None
    return False


def publish_model(
    directory: Path, files: Mapping[str, bytes], *, kept: Collection[str] = TRAINING
) -> None:
    """Write the files of a model to a locked directory, then remove the old model's other files.

    Args:
        kept: files that also belong to the new model.
    """
    old = (*WEIGHTS_FILES.values(), TOKENIZER, DOCUMENT_HASHES)
    old += TRAINING if _has_ended(directory) else ()
    try:
        if not has_model(directory):
            old = ()  # without a model, these files belong to other programs
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
    check_format(directory)
    if has_model(directory):
        return _load_finished(directory)
    if committed_path(directory, STATE_DESCRIPTION).exists():
        return _load_unfinished(directory)
    if not committed_path(directory, META).exists():
        raise CheckpointError(f"{directory} has no model; {REMEDY}")
    return _load_finished(directory)


def _load_unfinished(directory: Path) -> SavedModel:
    """Load the model of a training run as if the run had ended at its checkpoint."""
    from microgpt.storage.training_directory import read_training

    plan, state, _ = read_training(directory)
    steps = plan.config.steps
    numbers = state.final_weights(steps).tolist()
    model = plan.model, by_name(plan.model, numbers), plan.tokenizer, plan.dtype
    meta = meta_of(TrainedModel(*model), plan, state)
    written = os.stat(directory).st_mtime
    facts = {
        "weights_sha256": _sha256(array("d", numbers).tobytes()),
        "created_at": datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds"),
        "training": meta.training | {"steps_planned": steps},
    }
    return SavedModel(*model, meta.model_copy(update=facts), steps)


def _load_finished(directory: Path) -> SavedModel:
    """Load a model. After an interrupted save, use the weights file whose hash is correct."""
    meta = read_meta(directory)
    try:
        model = meta.model()
        check_fits(model)
    except MicrogptError as error:
        raise CheckpointError(f"{directory / META}: {error}") from error
    file, mismatch = None, None
    if TOKENIZERS[meta.tokenizer].has_file:
        file = directory / TOKENIZER, read_committed(directory, TOKENIZER, MAX_TOKENIZER_BYTES)
    present = [name for name in WEIGHTS_FILES.values() if committed_path(directory, name).exists()]
    for name in present or ["weights.json"]:
        path = directory / name
        content = read_committed(directory, name, max_bytes(path, model))
        if meta.weights_sha256 not in (None, _sha256(content)):
            mismatch = mismatch or path
        elif file and meta.tokenizer_sha256 not in (None, _sha256(file[1])):
            mismatch = mismatch or file[0]
        else:
            tokenizer = restore_tokenizer(directory / META, meta, file, model.vocab_size)
            weights = decode_weights(content, path, model)
            return SavedModel(model, weights, tokenizer, meta.dtype, meta)
    raise CheckpointError(
        f"{mismatch} does not match {META} (its sha256 differs); "
        "restore both files, or train the model again"
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
