"""Save tokenizers in model directories and checkpoints, and restore them."""

from pathlib import Path
from typing import Any, Protocol, get_args

from microgpt.data.bpe import BpeTokenizer
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import SPECIAL_TOKENS, CharTokenizer, Tokenizer, TokenizerKind
from microgpt.errors import CheckpointError, TokenizerError

MAX_TOKENIZER_BYTES = 2**26  # a vocabulary of a million tokens takes about 50 MB


class TokenizerFields(Protocol):
    """The fields of a JSON file that describe a tokenizer."""

    tokenizer: str
    chars: tuple[str, ...] | None  # the vocabulary of a character tokenizer
    special_tokens: tuple[str, ...] | None  # names of the chat tokens; None if there are none
    fold: bool | None  # whether a character tokenizer folds case and accents


def tokenizer_fields(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the values of all `TokenizerFields` for a tokenizer."""
    return {
        "tokenizer": tokenizer.kind,
        "chars": tokenizer.chars,
        "special_tokens": SPECIAL_TOKENS if tokenizer.is_chat else None,
        "fold": True if isinstance(tokenizer, FoldingTokenizer) else None,
    }


def check_fields(path: Path, fields: TokenizerFields) -> None:
    """Raise CheckpointError with the path of the JSON file if the fields are invalid."""
    kind = fields.tokenizer
    if kind not in get_args(TokenizerKind):
        expected = " or ".join(map(repr, get_args(TokenizerKind)))
        raise CheckpointError(f"{path}: unknown tokenizer {kind!r:.80} (expected {expected})")
    if kind == CharTokenizer.kind and fields.chars is None:
        raise CheckpointError(f"{path}: chars: field required")
    if fields.special_tokens not in (None, SPECIAL_TOKENS):
        raise CheckpointError(f"{path}: special_tokens must be {list(SPECIAL_TOKENS)} or absent")


def restore(
    path: Path, fields: TokenizerFields, file: tuple[Path, bytes] | None, vocab_size: int
) -> Tokenizer:
    """Restore a tokenizer from the fields of a JSON file.

    Args:
        path: path of the JSON file, for error messages.
        file: path and content of tokenizer.json; None for a character tokenizer.

    Raises:
        CheckpointError: the tokenizer is invalid or does not have vocab_size tokens.
    """
    tokenizer: Tokenizer
    is_chat = fields.special_tokens is not None
    try:
        if file is None:
            kind = FoldingTokenizer if fields.fold else CharTokenizer
            tokenizer = kind(fields.chars or (), is_chat=is_chat)
        else:
            tokenizer = BpeTokenizer(file[1], is_chat=is_chat)
    except TokenizerError as error:
        raise CheckpointError(f"{file[0] if file else path}: {error}") from error
    if tokenizer.vocab_size != vocab_size:
        what = "characters" if file is None else "subword tokens"
        raise CheckpointError(
            f"{path}: vocab_size is {vocab_size}, but there are {tokenizer.vocab_size} {what} "
            "and special tokens"
        )
    return tokenizer
