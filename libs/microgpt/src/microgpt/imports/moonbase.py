"""Checkpoints of MoonBase since it has subword tokens.

weights.safetensors    the matrices of Karpathy's architecture, with our names
tokenizer.json         byte-level BPE; the special tokens are the first ones, and bytes that
                       the training text does not have are missing
meta.json              the shape, with our names, and the names of the chat tokens
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from microgpt.data.bpe import BpeTokenizer
from microgpt.data.tokenizer import SPECIAL_TOKENS
from microgpt.error_format import first_problem
from microgpt.errors import CheckpointError, MicrogptError
from microgpt.files.atomic_files import read
from microgpt.state import TrainedModel
from microgpt.storage.meta import MAX_META_BYTES, MAX_TOKENIZER_BYTES, META, parse_meta
from microgpt.storage.model_directory import MOONBASE_WEIGHTS, TOKENIZER
from microgpt.storage.weights_file import decode_weights, max_bytes

SPECIAL = tuple(f"<{name}>" for name in ("bos", *SPECIAL_TOKENS))  # in the order of their ids
TABLES = ("wte", "lm_head")  # matrices with a row for each token


class AddedToken(BaseModel):
    """A special token in tokenizer.json; its other settings do not matter."""

    id: int
    content: str


class _Vocabulary(BaseModel):
    model_config = ConfigDict(extra="allow")

    vocab: dict[str, int]


class _File(BaseModel):
    """tokenizer.json; what is not here is checked by our tokenizer."""

    model_config = ConfigDict(extra="allow")

    added_tokens: list[AddedToken]
    model: _Vocabulary


def read_moonbase(directory: Path) -> tuple[TrainedModel, str]:
    """Return the model in a directory, and the name of the program.

    Raises:
        CheckpointError: a file is missing or damaged, or does not fit the others.
        TokenizerError: tokenizer.json has other settings than MoonBase's.
    """
    path, file = directory / META, directory / TOKENIZER
    meta = parse_meta(read(path, MAX_META_BYTES), path, "bpe")
    try:
        model = meta.model()
    except MicrogptError as error:
        raise CheckpointError(f"{path}: {error}") from error
    tokenizer, order = _read_tokenizer(file, is_chat=meta.special_tokens is not None)
    if model.vocab_size != len(order):
        raise CheckpointError(
            f"{path}: vocab_size is {model.vocab_size}, but {TOKENIZER} has {len(order)} tokens"
        )
    path = directory / MOONBASE_WEIGHTS
    weights = decode_weights(read(path, max_bytes(path, model)), path, model)
    weights |= {name: tuple(weights[name][token] for token in order) for name in TABLES}
    return TrainedModel(model, weights, tokenizer, "float32"), "MoonBase"


def _read_tokenizer(path: Path, *, is_chat: bool) -> tuple[BpeTokenizer, list[int]]:
    """Return the tokenizer with the special tokens last, and each token's number in the file."""
    try:
        file = _File.model_validate_json(read(path, MAX_TOKENIZER_BYTES))
    except ValidationError as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error
    special = SPECIAL if is_chat else SPECIAL[:1]
    if [(token.id, token.content) for token in file.added_tokens] != [*enumerate(special)]:
        raise CheckpointError(f"{path}: the first tokens must be {', '.join(special)}")
    vocab = {piece: token for piece, token in file.model.vocab.items() if piece not in special}
    pieces = sorted(vocab, key=vocab.__getitem__)
    bos, *others = range(len(special))
    order = [*map(vocab.__getitem__, pieces), *others, bos]
    if sorted(order) != [*range(len(order))]:
        raise CheckpointError(f"{path}: tokens must be numbered from 0, each once")
    file.model.vocab = {piece: token for token, piece in enumerate(pieces)}
    file.added_tokens = []
    try:
        return BpeTokenizer(file.model_dump_json().encode(), is_chat=is_chat), order
    except MicrogptError as error:
        raise CheckpointError(f"{path}: {error}") from error
