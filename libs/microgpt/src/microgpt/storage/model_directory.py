"""Write model directories atomically, validate them on load, and find those that a command names.

docs/reference/model_directory.md describes the files. Two other programs, evolve-rust and MoonBase,
write only weights.json and meta.json; `load` reads their directories too.
"""

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from microgpt.config import DOCUMENT_HASHES, ModelConfig, WeightsFormat, check_path
from microgpt.data import TOKENIZERS
from microgpt.data.contamination import (
    HASH_BYTES,
    MAX_HASHES,
    DocumentHashes,
    hashes_file,
    other_data,
)
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.errors import CheckpointError, ConfigError
from microgpt.files import (
    DirectoryLock,
    as_argument,
    cannot_write,
    check_is_directory,
    committed_path,
    publish,
    read_committed,
    read_consistently,
)
from microgpt.formatting import printable
from microgpt.parameters import by_name, count_params
from microgpt.storage.model_metadata import (
    MAX_TOKENIZER_BYTES,
    META,
    STATE,
    STATE_DESCRIPTION,
    Meta,
    SavedModel,
    description_of,
    meta_of,
    read_meta,
    restore_tokenizer,
)
from microgpt.storage.weights_file import (
    WEIGHTS_FILES,
    check_fits,
    decode_weights,
    encode_weights,
    max_bytes,
)
from microgpt.training_state import TrainedModel, TrainResult

DEFAULT_MODEL_DIR = "output"
TOKENIZER = "tokenizer.json"
# Files of the training run that produced a model.
TRAINING_FILES = (STATE_DESCRIPTION, STATE)
MOONBASE_WEIGHTS = "weights.safetensors"
REMEDY = "use a directory written by `microgpt train`, or list the models here with `microgpt list`"
MAX_IN_JSON = 1_000_000  # maximum number of weights to save as JSON by default (22 MB)


def save(
    result: TrainedModel, directory: str | Path, *, weights_format: WeightsFormat | None = None
) -> None:
    """Write a model directory atomically, replacing any existing model and its training run.

    A concurrent `load` reads either the old model or the new one. Concurrent calls for the same
    directory wait for each other. The default format is JSON for up to a million weights, otherwise
    safetensors; float16 is safetensors with rounded weights. Saving a loaded model over its own
    copy keeps the files of its training run.

    Raises:
        CheckpointError: the directory cannot be written or is locked by a training run, or a weight
            is too large for float16.
    """
    check_path("directory", directory)
    path = Path(directory)
    files = encode_model(result, weights_format)
    with DirectoryLock(path):
        is_copy = isinstance(result, SavedModel) and has_copy(path, result)
        publish_model(path, files, [*TRAINING_FILES, DOCUMENT_HASHES] if is_copy else [])


def encode_model(
    result: TrainedModel, weights_format: WeightsFormat | None = None
) -> dict[str, bytes]:
    """Return the content of each file that `save` writes, by file name."""
    is_small = count_params(result.model) <= MAX_IN_JSON
    weights_format = weights_format or ("json" if is_small else "safetensors")
    content = encode_weights(result.model, result.weights, weights_format, result.dtype)
    files, tokenizer = {WEIGHTS_FILES[weights_format]: content}, result.tokenizer
    hashes = {"weights_sha256": _sha256(content)}
    if tokenizer.file:
        files[TOKENIZER] = tokenizer.file
        hashes["tokenizer_sha256"] = _sha256(tokenizer.file)
    meta = result.meta if isinstance(result, SavedModel) else description_of(result)
    if isinstance(result, TrainResult):
        meta = meta_of(result, result.plan, result.state, result.test_loss)
        if hashes_content := hashes_file(result.documents, result.config.text):
            files[DOCUMENT_HASHES] = hashes_content
            hashes["documents_sha256"] = _sha256(hashes_content)
    description = meta.model_copy(update=hashes).model_dump_json(indent=2, exclude_none=True)
    return files | {META: description.encode() + b"\n"}


def load(directory: str | Path) -> SavedModel:
    """Load the model in a directory, or that of an unfinished training run if there is none yet.

    Raises:
        CheckpointError: a file is missing, damaged, in an unknown format, or belongs to another
            model; the message names the file and the location of the error.
    """
    check_path("directory", directory)
    directory = Path(directory)
    check_is_directory(directory, REMEDY)
    return read_consistently(directory, lambda: _load(directory))


def has_any(directory: Path, *names: str) -> bool:
    """Return whether a directory contains any of the named files."""
    return any(os.path.exists(committed_path(directory, name)) for name in names)


def has_model(directory: Path) -> bool:
    """Return whether a directory contains a weights file."""
    return has_any(directory, *WEIGHTS_FILES.values())


def is_model_directory(directory: Path) -> bool:
    """Return whether a directory contains a model, even if damaged, or an unfinished run."""
    return has_any(directory, *WEIGHTS_FILES.values(), META, STATE_DESCRIPTION)


def has_copy(directory: Path, saved: SavedModel) -> bool:
    """Return whether a directory contains a copy of `saved` that was written by microgpt."""
    hashes = {"weights_sha256", "tokenizer_sha256"}
    with suppress(CheckpointError):
        found, wanted = (m.model_dump(exclude=hashes) for m in (read_meta(directory), saved.meta))
        return found == wanted and saved.meta.created_at is not None
    return False


def read_document_hashes(directory: Path, saved: SavedModel) -> DocumentHashes | None:
    """Return the hashes of all training documents of a model and its ancestors; None if unknown."""
    data, *ancestors = saved.trained_on
    if other_data(data, ancestors) or not has_any(directory, DOCUMENT_HASHES):
        return None
    content = read_committed(directory, DOCUMENT_HASHES, HASH_BYTES * MAX_HASHES)
    if _sha256(content) != saved.meta.documents_sha256:
        return None  # a save was killed before it could remove this file of an older model
    return DocumentHashes(content)


def publish_model(directory: Path, files: Mapping[str, bytes], kept: Collection[str]) -> None:
    """Write a model to a locked directory; remove the old model's files that are not in `kept`."""
    try:
        old: Collection[str] = ()  # in a directory without a model, all files are the user's
        if has_model(directory):
            old = (*WEIGHTS_FILES.values(), TOKENIZER, DOCUMENT_HASHES, *TRAINING_FILES)
        publish(directory, files, is_held=True)
        for other in old:
            if other not in files and other not in kept:
                (directory / other).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(directory, error) from error


def model_sources(given: str | Sequence[str] | None) -> dict[str, Path]:
    """Return model directories by name; `given` contains paths, or texts of the form NAME=DIR.

    The default is `output` or, if it does not exist, the demo model.
    """
    if given is None:
        if not os.path.lexists(DEFAULT_MODEL_DIR):
            return {"demo": bundled(DEMO_MODEL)}
        return {DEFAULT_MODEL_DIR: Path(DEFAULT_MODEL_DIR)}
    given = (given,) if isinstance(given, str) else given
    sources: dict[str, Path] = {}
    for name, directory in chain.from_iterable(map(_models_at, given)):
        if name in sources:
            raise ConfigError(
                f"{sources[name]} and {directory} have the same name, {name}; choose names with "
                "NAME=DIR"
            )
        sources[name] = directory
    return sources


def name_of(path: str | os.PathLike[str]) -> str:
    """Return the default name of the model in a directory: the name of the directory."""
    return printable(os.path.basename(os.path.abspath(path))) or "model"


def _models_at(text: str) -> list[tuple[str, Path]]:
    """Return the name and path of a model (`PATH` or `NAME=DIR`), or of each model in a folder."""
    name, separator, directory = text.partition("=")
    if not separator or os.path.lexists(text):
        name, directory = "", text
    elif not name.strip() or not directory:
        raise ConfigError(f"{text} must be NAME=DIR, such as names=output")
    name = printable(name.strip())
    path = Path(directory)
    if not os.path.lexists(directory):
        raise CheckpointError(f"{directory or repr('')} does not exist; {REMEDY}")
    if not name and os.path.isdir(path) and not is_model_directory(path):
        children = sorted(each for each in path.iterdir() if is_model_directory(each))
        if children:
            return [(name_of(each), each) for each in children]
    return [(name or name_of(path), path)]


def _load(directory: Path) -> SavedModel:
    if not has_model(directory):
        if has_any(directory, STATE_DESCRIPTION):
            return _load_unfinished(directory)
        if os.path.exists(directory / MOONBASE_WEIGHTS):
            raise CheckpointError(
                f"{directory} is a checkpoint of MoonBase ({MOONBASE_WEIGHTS}); convert it with: "
                f"microgpt import {as_argument(directory)} --model NAME"
            )
        if not has_any(directory, META):
            raise CheckpointError(f"{directory} has no model; {REMEDY}")
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
    return SavedModel(model, decode_weights(content, path, model), tokenizer, meta.dtype, meta)


def _read_weights(directory: Path, meta: Meta, model: ModelConfig) -> tuple[Path, bytes]:
    """Return the path and content of the weights file; ignore one left by an interrupted save."""
    names = {name: None for name in WEIGHTS_FILES.values() if has_any(directory, name)}
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
    from microgpt.storage.checkpoint import read_training

    plan, state, _ = read_training(directory)
    if plan.ensemble and not state.step:
        raise CheckpointError(
            f"{directory} has no model yet, because its teachers are trained first; continue with "
            f"microgpt train --resume {as_argument(directory)}"
        )
    steps = plan.config.steps
    weights = by_name(plan.model, state.final_weights.tolist())
    model = plan.model, weights, plan.tokenizer, plan.dtype
    meta = meta_of(TrainedModel(*model), plan, state)
    return SavedModel(*model, meta, f"at step {state.step} of {steps}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
