"""Directories of transformers that `microgpt export` has written, perhaps trained since then.

    config.json          the shape; see `microgpt.exports.apertus`
    model.safetensors    the tensors, also in half precision
    tokenizer.json       our tokenizer, with the special tokens as added tokens

transformers writes these files again after a training run, but not the receipt.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from microgpt.data.bpe import BpeTokenizer
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Tokenizer
from microgpt.error_format import first_problem
from microgpt.errors import CheckpointError, MicrogptError
from microgpt.exports.apertus import from_apertus, shape_of
from microgpt.files.atomic_files import read
from microgpt.imports.moonbase import AddedToken
from microgpt.model_config import ModelConfig
from microgpt.printable import printable
from microgpt.state import TrainedModel
from microgpt.storage.meta import MAX_META_BYTES, MAX_TOKENIZER_BYTES
from microgpt.storage.model_directory import TOKENIZER
from microgpt.storage.weights_file import Matrices, decode_tensors, max_bytes, rows_of

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FOLDS = "NFKD"  # the first normalizer of a tokenizer that folds case and accents


class _Normalizer(BaseModel):
    normalizers: list[dict[str, Any]]


class _Pieces(BaseModel):
    model_config = ConfigDict(extra="allow")

    vocab: dict[str, int]


class _TokenizerJson(BaseModel):
    """tokenizer.json; what is not here is checked by our tokenizer, or is not ours."""

    model_config = ConfigDict(extra="allow")

    added_tokens: list[AddedToken]
    normalizer: _Normalizer | None
    pre_tokenizer: dict[str, Any] | None
    model: _Pieces


def read_apertus(directory: Path) -> tuple[TrainedModel, str]:
    """Return the model in a directory, and the name of the program.

    Raises:
        CheckpointError: a file is missing or damaged, or does not fit our architecture.
    """
    path = directory / CONFIG
    model = _shape(path)
    tokenizer = _tokenizer(directory / TOKENIZER)
    if tokenizer.vocab_size != model.vocab_size:
        raise CheckpointError(
            f"{path}: vocab_size is {model.vocab_size}, but {TOKENIZER} has "
            f"{tokenizer.vocab_size} tokens"
        )
    path = directory / WEIGHTS
    tensors = decode_tensors(read(path, max_bytes(path, model)), path)
    if model.n_layer > len(tensors):  # checked first: a huge n_layer could exhaust the memory
        raise CheckpointError(f"{path} has too few tensors for the layers in {CONFIG}")
    with _naming(path):
        weights = from_apertus(model, tensors)
    matrices = rows_of(cast("Matrices", weights), path, model, CONFIG)
    return TrainedModel(model, matrices, tokenizer, "float32"), "transformers"


def _shape(path: Path) -> ModelConfig:
    """Return the shape in config.json."""
    try:
        settings = json.loads(read(path, MAX_META_BYTES))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {printable(str(error))}") from error
    kind = settings.get("model_type") if isinstance(settings, dict) else None
    if kind != "apertus":
        raise CheckpointError(
            f"{path}: a model of type {kind!r:.40} does not fit microgpt's architecture; of "
            "transformers' models, it imports those of type 'apertus' that it has exported"
        )
    with _naming(path):
        return shape_of(settings)


def _tokenizer(path: Path) -> Tokenizer:
    """Return our tokenizer from the file for transformers."""
    content = read(path, MAX_TOKENIZER_BYTES)
    with _naming(path):
        file = _TokenizerJson.model_validate_json(content)
        special = {token.id: token.content for token in file.added_tokens}
        found = _restored(file, is_chat="<|user|>" in special.values())
        if special != {token: found.label(token) for token in found.special_ids}:
            raise CheckpointError("the special tokens are not those of microgpt")
        return found


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the path of a file before an error message."""
    try:
        yield
    except ValidationError as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error
    except MicrogptError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _restored(file: _TokenizerJson, *, is_chat: bool) -> Tokenizer:
    if file.pre_tokenizer is None:
        steps = file.normalizer.normalizers if file.normalizer else []
        kind = FoldingTokenizer if steps and steps[0].get("type") == FOLDS else CharTokenizer
        vocab = file.model.vocab
        return kind(sorted(vocab, key=vocab.__getitem__), is_chat=is_chat)
    ours = file.model_dump() | {"added_tokens": []}
    ours |= dict.fromkeys(("normalizer", "post_processor", "truncation", "padding"))
    return BpeTokenizer(json.dumps(ours).encode(), is_chat=is_chat)
