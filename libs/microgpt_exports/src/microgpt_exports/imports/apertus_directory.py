"""Import directories for transformers that `microgpt export` has written, even if trained since.

    config.json          the shape; see `microgpt_exports.apertus`
    model.safetensors    the tensors, also in half precision
    tokenizer.json       our tokenizer, with the special tokens as added tokens

transformers writes these files again after a training run, but not the receipt.
"""

import json
from pathlib import Path
from typing import cast

from microgpt import (
    MAX_META_BYTES,
    TOKENIZER,
    CharTokenizer,
    CheckpointError,
    FoldingTokenizer,
    Matrices,
    ModelConfig,
    Tokenizer,
    TrainedModel,
    decode_tensors,
    max_bytes,
    printable,
    read,
    rows_of,
)
from microgpt_exports.apertus import from_apertus, shape_of
from microgpt_exports.imports.tokenizer_json import TokenizerJson, naming

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def read_apertus(directory: Path) -> TrainedModel:
    """Return the model in a directory.

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
    with naming(path):
        weights = from_apertus(model, tensors)
    matrices = rows_of(cast("Matrices", weights), path, model, CONFIG)
    return TrainedModel(model, matrices, tokenizer, "float32")


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
    with naming(path):
        return shape_of(settings)


def _tokenizer(path: Path) -> Tokenizer:
    """Return our tokenizer from the file for transformers."""
    file = TokenizerJson.of(path)
    is_chat = "<|user|>" in (name for _, name in file.special)
    found: Tokenizer
    with naming(path):
        if file.pre_tokenizer is None:
            folds = "NFKD" in str(file.normalizer)
            found = (FoldingTokenizer if folds else CharTokenizer)(file.pieces, is_chat=is_chat)
        else:
            settings = ("normalizer", "post_processor", "truncation", "padding")
            found = file.bpe(is_chat=is_chat, **dict.fromkeys(settings))
        if file.special != [(token, found.label(token)) for token in found.special_ids]:
            raise CheckpointError("the special tokens are not those of microgpt")
    return found
