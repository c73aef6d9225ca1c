"""Import a model that another program has trained; refuse one that does not fit the architecture.

    a directory of MoonBase  of a version with subword tokens
    of transformers          that `microgpt export` has written, even if trained since:
                             receipt.json, config.json and model.safetensors

Files may be untrusted: names and shapes are checked first, and no code in a file is run.
"""

import json
import os
from pathlib import Path
from typing import cast

from microgpt import (
    MAX_META_BYTES,
    MAX_TOKENIZER_BYTES,
    META,
    MOONBASE_WEIGHTS,
    SPECIAL_TOKENS,
    TOKENIZER,
    BpeTokenizer,
    CheckpointError,
    ConfigError,
    Matrices,
    SavedModel,
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
from microgpt_exports.apertus import check_settings, from_apertus
from microgpt_exports.format import MAX_FILE, RECEIPT_FILE
from microgpt_exports.receipt import damaged, read_receipt

CONFIG, WEIGHTS = "config.json", "model.safetensors"  # files of transformers
# The special tokens of MoonBase, in the order of their ids; and matrices with a row for each token.
SPECIAL = tuple(f"<{name}>" for name in ("bos", *SPECIAL_TOKENS))
TABLES = ("wte", "lm_head")
# What reading a damaged JSON file raises.
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


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
    is_chat, model = meta.special_tokens is not None, meta.model()
    special = SPECIAL if is_chat else SPECIAL[:1]
    content = read(file, MAX_TOKENIZER_BYTES)
    try:
        facts = json.loads(content)
        tokens = [(each["id"], each["content"]) for each in facts["added_tokens"]]
        vocab = {str(piece): int(token) for piece, token in facts["model"]["vocab"].items()}
        pieces = sorted(vocab.keys() - {*special}, key=vocab.__getitem__)
        facts["added_tokens"] = []
        facts["model"]["vocab"] = {piece: token for token, piece in enumerate(pieces)}
        renumbered = json.dumps(facts).encode()
    except DAMAGE as error:
        problem = printable(str(error))
        raise CheckpointError(f"{file} is not a valid tokenizer: {problem}") from error
    if tokens != [*enumerate(special)]:
        raise CheckpointError(f"{file}: the first tokens must be {', '.join(special)}")
    with damaged(file, ""):
        tokenizer = BpeTokenizer(renumbered, is_chat=is_chat)
    bos, *others = range(len(special))
    order = [*(vocab[each] for each in pieces), *others, bos]  # their tokens
    if len(order) != model.vocab_size or sorted(order) != [*range(len(order))]:
        raise CheckpointError(
            f"{path}: vocab_size is {model.vocab_size}, but {TOKENIZER} has {len(order)} tokens, "
            "or its ids are not consecutive"
        )
    path = directory / MOONBASE_WEIGHTS
    weights = decode_weights(read(path, max_bytes(path, model)), path, model)
    weights |= {name: tuple(weights[name][token] for token in order) for name in TABLES}
    return TrainedModel(model, weights, tokenizer, "float32")


def _from_transformers(directory: Path) -> TrainedModel:
    """Return the model in a directory of transformers, which the receipt describes."""
    path, file = directory / CONFIG, directory / RECEIPT_FILE
    try:
        settings = json.loads(read(path, MAX_META_BYTES))
    except DAMAGE as error:
        raise CheckpointError(f"{path} is not valid JSON: {printable(str(error))}") from error
    kind = settings.get("model_type") if isinstance(settings, dict) else None
    if kind != "apertus" or not file.exists():
        raise CheckpointError(
            f"{path}: a model of type {kind!r:.40} does not fit microgpt's architecture; microgpt "
            f"imports what it has exported, with the {RECEIPT_FILE} of the export beside it"
        )
    content = read(directory / WEIGHTS, MAX_FILE)
    text = read(file, MAX_FILE).decode(errors="replace")
    receipt = read_receipt(text, file, 2 * len(content))  # the weights may have half precision
    model, tokenizer = receipt.model, receipt.restored_tokenizer(file)
    with damaged(path, ""):
        check_settings(model, settings)
    path = directory / WEIGHTS
    tensors = decode_tensors(content, path)
    with damaged(path, ""):
        weights = from_apertus(model, tensors)
    matrices = rows_of(cast("Matrices", weights), path, model, CONFIG)
    return TrainedModel(model, matrices, tokenizer, "float32")
