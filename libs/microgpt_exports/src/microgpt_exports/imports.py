"""Import a model that another program has trained; refuse one of an unsupported architecture.

    MoonBase directory       written by a version of MoonBase with subword tokens
    transformers directory   receipt.json, config.json and model.safetensors, as `microgpt export`
                             writes them; the weights may have been trained since

The files are not trusted: names and shapes are checked first, and no code in a file is run.
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
    Matrices,
    SavedModel,
    TrainedModel,
    decode_tensors,
    decode_weights,
    description_of,
    max_bytes,
    read,
    read_meta,
    rows_of,
)
from microgpt_exports.apertus import check_settings, from_apertus
from microgpt_exports.format import MAX_FILE, RECEIPT_FILE
from microgpt_exports.receipt import damaged, read_receipt

CONFIG, WEIGHTS = "config.json", "model.safetensors"  # file names used by Transformers
# The special tokens of MoonBase, in the order of their ids; the matrices with one row per token.
SPECIAL = tuple(f"<{name}>" for name in ("bos", *SPECIAL_TOKENS))
TABLES = ("wte", "lm_head")


def import_model(path: str | Path) -> SavedModel:
    """Return the model that another program wrote to a directory; save it with `microgpt.save`.

    Raises:
        CheckpointError: a file is missing or damaged, or the model is not supported.
    """
    path = Path(path)
    if os.path.exists(path / MOONBASE_WEIGHTS):
        trained, source = _from_moonbase(path), "MoonBase"
    elif os.path.exists(path / CONFIG):
        trained, source = _from_transformers(path), "transformers"
    else:
        raise CheckpointError(
            f"{path} is neither a MoonBase nor a transformers model directory, so `microgpt "
            "import` cannot read it; microgpt's own models need no import"
        )
    meta = description_of(trained, imported_from=source)
    return SavedModel(trained.model, trained.weights, trained.tokenizer, trained.dtype, meta)


def _from_moonbase(directory: Path) -> TrainedModel:
    """Return the model in a MoonBase directory.

    The names of matrices and of fields in meta.json are those of microgpt. tokenizer.json is a
    byte-level BPE: special tokens come first, and bytes absent from the training text are missing.
    """
    path, file = directory / MOONBASE_WEIGHTS, directory / TOKENIZER
    meta = read_meta(directory)
    is_chat, model = meta.special_tokens is not None, meta.model()
    special = SPECIAL if is_chat else SPECIAL[:1]
    content = read(file, MAX_TOKENIZER_BYTES)
    with damaged(file, "not a valid tokenizer: "):
        facts = json.loads(content)
        tokens = [(each["id"], each["content"]) for each in facts["added_tokens"]]
        vocab = {str(piece): int(token) for piece, token in facts["model"]["vocab"].items()}
        pieces = sorted(vocab.keys() - {*special}, key=vocab.__getitem__)
        if tokens != [*enumerate(special)]:
            raise CheckpointError(f"the first tokens must be {', '.join(special)}")
        facts["added_tokens"] = []
        facts["model"]["vocab"] = {piece: token for token, piece in enumerate(pieces)}
        tokenizer = BpeTokenizer(json.dumps(facts).encode(), is_chat=is_chat)
    bos, *others = range(len(special))
    order = [*(vocab[each] for each in pieces), *others, bos]  # MoonBase's ids in microgpt's order
    if len(order) != model.vocab_size or sorted(order) != [*range(len(order))]:
        raise CheckpointError(
            f"{directory / META}: vocab_size is {model.vocab_size}, but {TOKENIZER} has "
            f"{len(order)} tokens, or its ids are not consecutive"
        )
    weights = decode_weights(read(path, max_bytes(path, model)), path, model)
    weights |= {name: tuple(weights[name][token] for token in order) for name in TABLES}
    return TrainedModel(model, weights, tokenizer, "float32")


def _from_transformers(directory: Path) -> TrainedModel:
    """Return the model in a Transformers directory; the receipt describes the model."""
    path, file, weights = (directory / name for name in (CONFIG, RECEIPT_FILE, WEIGHTS))
    content = read(path, MAX_META_BYTES)
    with damaged(path, "not valid JSON: "):
        settings = dict(json.loads(content))
    if (kind := settings.get("model_type")) != "apertus" or not file.exists():
        raise CheckpointError(
            f"{path}: a model of type {kind!r:.40} does not fit microgpt's architecture; microgpt "
            f"imports only what it has exported, with {RECEIPT_FILE} in the same directory"
        )
    content = read(weights, MAX_FILE)
    text = read(file, MAX_FILE).decode(errors="replace")
    receipt = read_receipt(text, file, 2 * len(content))  # allows weights in half precision
    model, tokenizer = receipt.model, receipt.restored_tokenizer(file)
    with damaged(directory, ""):
        check_settings(model, settings)
        matrices = from_apertus(model, decode_tensors(content, weights))
    rows = rows_of(cast("Matrices", matrices), weights, model, CONFIG)
    return TrainedModel(model, rows, tokenizer, "float32")
