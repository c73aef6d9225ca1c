"""Import a model that another program has trained; refuse one that does not fit the architecture.

    a directory of MoonBase  of a version with subword tokens
    of transformers          that `microgpt export` has written, even if trained since: config.json
                             (see `apertus`), model.safetensors, also in half precision, and
                             tokenizer.json; transformers does not write the receipt again

Files may be untrusted: names and shapes are checked first, and no code in a file is run.
"""

import json
import os
from pathlib import Path
from typing import Self, cast

from pydantic import BaseModel, ConfigDict

from microgpt import (
    MAX_META_BYTES,
    MAX_TOKENIZER_BYTES,
    META,
    MOONBASE_WEIGHTS,
    SPECIAL_TOKENS,
    TOKENIZER,
    BpeTokenizer,
    CharTokenizer,
    CheckpointError,
    ConfigError,
    FoldingTokenizer,
    Matrices,
    ModelConfig,
    SavedModel,
    Tokenizer,
    TrainedModel,
    as_argument,
    decode_tensors,
    decode_weights,
    description_of,
    has_model,
    max_bytes,
    printable,
    read,
    read_meta,
    rows_of,
)
from microgpt_exports.apertus import from_apertus, shape_of
from microgpt_exports.receipt import naming

CONFIG, WEIGHTS = "config.json", "model.safetensors"  # files of transformers
# The special tokens of MoonBase, in the order of their ids; and matrices with a row for each token.
SPECIAL = tuple(f"<{name}>" for name in ("bos", *SPECIAL_TOKENS))
TABLES = ("wte", "lm_head")


def import_model(path: str | Path) -> SavedModel:
    """Return the model in a directory of another program; save it with `microgpt.save`.

    Raises:
        ConfigError: the directory is a model directory already.
        CheckpointError: a file is missing or damaged, or the model is not supported.
    """
    path = Path(path)
    if has_model(path) and os.path.exists(path / META):
        copy = f"microgpt export {as_argument(path)} --output NAME"
        raise ConfigError(
            f"{path} needs no import: every command reads it; to copy it, use: {copy}"
        )
    if os.path.exists(path / MOONBASE_WEIGHTS):
        trained, source = _from_moonbase(path), "MoonBase"
    elif os.path.exists(path / CONFIG):
        trained, source = _from_transformers(path), "transformers"
    else:
        raise CheckpointError(
            f"{path} has no checkpoint that `microgpt import` reads: it is not a directory of "
            "MoonBase, or of transformers"
        )
    meta = description_of(trained, imported_from=source)
    return SavedModel(trained.model, trained.weights, trained.tokenizer, trained.dtype, meta)


def _from_moonbase(directory: Path) -> TrainedModel:
    """Return the model in a directory of MoonBase.

    The matrices and meta.json have our names. In tokenizer.json, byte-level BPE, the special tokens
    are the first ones, and bytes that the training text does not have are missing.
    """
    path, file = directory / META, directory / TOKENIZER
    meta = read_meta(directory)
    is_chat = meta.special_tokens is not None
    model = meta.model()
    found, special = _TokenizerJson.from_file(file), SPECIAL if is_chat else SPECIAL[:1]
    if found.special != [*enumerate(special)]:
        raise CheckpointError(f"{file}: the first tokens must be {', '.join(special)}")
    bos, *others = range(len(special))
    order = [*map(found.model.vocab.__getitem__, found.pieces), *others, bos]  # their tokens
    if len(order) != model.vocab_size or sorted(order) != [*range(len(order))]:
        raise CheckpointError(
            f"{path}: vocab_size is {model.vocab_size}, but {TOKENIZER} has {len(order)} tokens, "
            "or its ids are not consecutive"
        )
    with naming(file):
        tokenizer = found.bpe(is_chat=is_chat)
    path = directory / MOONBASE_WEIGHTS
    weights = decode_weights(read(path, max_bytes(path, model)), path, model)
    weights |= {name: tuple(weights[name][token] for token in order) for name in TABLES}
    return TrainedModel(model, weights, tokenizer, "float32")


def _from_transformers(directory: Path) -> TrainedModel:
    """Return the model in a directory of transformers."""
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
    file = _TokenizerJson.from_file(path)
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


class _AddedToken(BaseModel):
    id: int
    content: str


class _Pieces(BaseModel):
    model_config = ConfigDict(extra="allow")

    vocab: dict[str, int]


class _TokenizerJson(BaseModel):
    """The fields that differ from those of our files; `BpeTokenizer` checks the others."""

    model_config = ConfigDict(extra="allow")

    added_tokens: list[_AddedToken]
    model: _Pieces
    pre_tokenizer: dict[str, object] | None = None
    normalizer: dict[str, object] | None = None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a file; raise CheckpointError if it is missing or damaged."""
        content = read(path, MAX_TOKENIZER_BYTES)
        with naming(path):
            return cls.model_validate_json(content)

    @property
    def special(self) -> list[tuple[int, str]]:
        """The id and the name of each special token, in file order."""
        return [(token.id, token.content) for token in self.added_tokens]

    @property
    def pieces(self) -> list[str]:
        """The other tokens, in the order of their ids."""
        names, vocab = {name for _, name in self.special}, self.model.vocab
        return sorted(vocab.keys() - names, key=vocab.__getitem__)

    def bpe(self, *, is_chat: bool, **changes: None) -> BpeTokenizer:
        """Return our tokenizer with these pieces, and special tokens after them.

        Args:
            changes: fields to replace with None, because our tokenizer does not use them.
        """
        pieces = {piece: token for token, piece in enumerate(self.pieces)}
        model = self.model.model_copy(update={"vocab": pieces})
        file = self.model_copy(update={"added_tokens": [], "model": model, **changes})
        return BpeTokenizer(file.model_dump_json().encode(), is_chat=is_chat)
