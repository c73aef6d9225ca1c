"""Read checkpoints of MoonBase versions with subword tokens.

weights.safetensors    the matrices of Karpathy's architecture, with our names
tokenizer.json         byte-level BPE; the special tokens are the first ones, and bytes that
                       the training text does not have are missing
meta.json              the shape, with our names, and the names of the chat tokens
"""

from pathlib import Path

from microgpt import (
    META,
    MOONBASE_WEIGHTS,
    SPECIAL_TOKENS,
    TOKENIZER,
    CheckpointError,
    TrainedModel,
    decode_weights,
    max_bytes,
    read,
    read_meta,
)
from microgpt_exports.imports.tokenizer_json import TokenizerJson, naming

SPECIAL = tuple(f"<{name}>" for name in ("bos", *SPECIAL_TOKENS))  # in the order of their ids
TABLES = ("wte", "lm_head")  # matrices with a row for each token


def read_moonbase(directory: Path) -> TrainedModel:
    """Return the model in a directory.

    Raises:
        CheckpointError: a file is missing or damaged, or does not fit the others.
    """
    path, file = directory / META, directory / TOKENIZER
    meta = read_meta(directory, "bpe")
    is_chat = meta.special_tokens is not None
    with naming(path):
        model = meta.model()
    found, special = TokenizerJson.of(file), SPECIAL if is_chat else SPECIAL[:1]
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
