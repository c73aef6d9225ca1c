"""A tokenizer as it stands in the files of a model and of a training, and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from microgpt.data.bpe import BpeTokenizer
from microgpt.data.tokenizer import SPECIAL_TOKENS, CharTokenizer, Tokenizer, TokenizerKind
from microgpt.errors import CheckpointError, TokenizerError

MAX_TOKENIZER_BYTES = 2**26  # a million tokens take about 50 MB


def chars_of(tokenizer: Tokenizer) -> tuple[str, ...] | None:
    """Return the characters that are the pieces of a tokenizer, if they are characters."""
    return tokenizer.chars if isinstance(tokenizer, CharTokenizer) else None


def file_of(tokenizer: Tokenizer) -> bytes | None:
    """Return the content of tokenizer.json, if a tokenizer has one."""
    return tokenizer.file if isinstance(tokenizer, BpeTokenizer) else None


def special_tokens_of(tokenizer: Tokenizer) -> tuple[str, ...] | None:
    """Return the names of the chat tokens, if a tokenizer has them."""
    return SPECIAL_TOKENS if tokenizer.is_chat else None


def check_vocabulary(
    path: Path, kind: str, chars: Sequence[str] | None, special_tokens: Sequence[str] | None
) -> None:
    """Raise CheckpointError, with the path of the JSON file, unless it describes a tokenizer."""
    if kind not in get_args(TokenizerKind):
        expected = " or ".join(map(repr, get_args(TokenizerKind)))
        raise CheckpointError(f"{path}: unknown tokenizer {kind!r:.80} (expected {expected})")
    if kind == CharTokenizer.kind and chars is None:
        raise CheckpointError(f"{path}: chars: field required")
    if special_tokens not in (None, SPECIAL_TOKENS):
        raise CheckpointError(f"{path}: special_tokens must be {list(SPECIAL_TOKENS)} or absent")


def restore(
    path: Path,
    chars: Sequence[str] | None,
    file: tuple[Path, bytes] | None,
    vocab_size: int,
    *,
    is_chat: bool,
) -> Tokenizer:
    """Return the tokenizer that a JSON file describes.

    Args:
        chars: that are its pieces.
        file: where tokenizer.json is, and its content, if its pieces are there.
        is_chat: whether it has chat tokens.

    Raises:
        CheckpointError: there is no such tokenizer, or it has another number of tokens.
    """
    tokenizer: Tokenizer
    try:
        if file is None:
            tokenizer = CharTokenizer(chars or (), is_chat=is_chat)
        else:
            tokenizer = BpeTokenizer(file[1], is_chat=is_chat)
    except TokenizerError as error:
        raise CheckpointError(f"{file[0] if file else path}: {error}") from error
    if tokenizer.vocab_size != vocab_size:
        what = "characters" if file is None else "subword tokens"
        raise CheckpointError(
            f"{path}: vocab_size is {vocab_size}, but its {what} and special tokens make "
            f"{tokenizer.vocab_size}"
        )
    return tokenizer
