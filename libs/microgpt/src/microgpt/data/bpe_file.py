"""Validate tokenizer.json and load it with Hugging Face's tokenizers."""

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from microgpt.data.bpe import N_BYTES
from microgpt.error_format import first_problem
from microgpt.errors import TokenizerError
from microgpt.printable_text import printable

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library


def new_library() -> "Library":
    """Return an untrained tokenizer; raise TokenizerError if the library is not installed."""
    try:
        from tokenizers import Tokenizer as Library
        from tokenizers import decoders, models, pre_tokenizers
    except ImportError as error:
        raise TokenizerError(
            f"subword tokens require the bpe extra ({error}); run: pip install 'microgpt-lib[bpe]'"
        ) from error
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    return library


class _Model(BaseModel, strict=True, extra="allow"):
    """The vocabulary and merges in tokenizer.json; all other keys become extra fields."""

    vocab: dict[str, int]
    merges: list[tuple[str, str]]


class _TokenizerFile(BaseModel, strict=True, extra="allow"):
    """The content of tokenizer.json; all other keys become extra fields."""

    model: _Model

    def settings(self) -> dict[str, object]:
        """Return all settings of the tokenizer, without the vocabulary and merges."""
        of_model = {f"model.{key}": value for key, value in (self.model.model_extra or {}).items()}
        return {**(self.model_extra or {}), **of_model}


def read_library(file: bytes) -> tuple["Library", list[bytes]]:
    """Load the content of tokenizer.json; return the tokenizer and the bytes of each token.

    Only the validated vocabulary and merges are passed to the library: the library panics on some
    invalid files, and allocates memory in proportion to the largest token id.

    Raises:
        TokenizerError: the file is invalid, or the library is not installed.
    """
    library = new_library()
    from tokenizers.models import BPE

    try:
        found, expected = (
            _TokenizerFile.model_validate_json(text) for text in (file, library.to_str())
        )
    except ValidationError as error:
        raise TokenizerError(f"not a valid tokenizer: {first_problem(error)}") from error
    settings, ours = found.settings(), expected.settings()
    if wrong := [key for key in ours | settings if settings.get(key) != ours.get(key)]:
        value = json.dumps(settings.get(wrong[0]))
        raise TokenizerError(
            f"unsupported tokenizer: {printable(wrong[0], 40)} is {printable(value, 80)}"
        )
    pieces = _pieces(found.model.vocab)
    _check_merges(found.model)
    library.model = BPE(vocab=found.model.vocab, merges=found.model.merges)
    return library, pieces


def _pieces(vocabulary: dict[str, int]) -> list[bytes]:
    """Return the bytes of each token; raise TokenizerError if the vocabulary is invalid."""
    bytes_ = byte_of()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    if [vocabulary[piece] for piece in pieces] != list(range(len(pieces))):
        raise TokenizerError("token ids must be consecutive integers from 0")
    chars = {*"".join(pieces)}
    if not (chars and chars <= bytes_.keys() & vocabulary.keys()):
        raise TokenizerError("tokens must be byte sequences, including each of their single bytes")
    return [bytes(bytes_[char] for char in piece) for piece in pieces]


def _check_merges(model: _Model) -> None:
    """Raise TokenizerError if a merge has an unknown token, because the library could panic."""
    for merge in model.merges:
        for piece in (*merge, "".join(merge)):
            if piece not in model.vocab:
                first, second = merge
                problem = f"the merge of {first!r} and {second!r} needs a missing token: {piece!r}"
                raise TokenizerError(f"the tokenizer is damaged: {printable(problem)}")


def byte_of() -> dict[str, int]:
    """Return a mapping from each character in pieces to the byte that it represents.

    The library represents a printable byte by the character with the same code point, and the
    other bytes, in ascending order, by the characters from U+0100 on.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    chars = sorted(ByteLevel.alphabet())
    printed = [ord(char) for char in chars if ord(char) < N_BYTES]
    others = sorted({*range(N_BYTES)} - {*printed})
    return dict(zip(chars, [*printed, *others], strict=True))
