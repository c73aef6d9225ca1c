"""Read tokenizer.json of another program, which may be untrusted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from microgpt import (
    MAX_TOKENIZER_BYTES,
    BpeTokenizer,
    CheckpointError,
    MicrogptError,
    first_problem,
    read,
)


class _AddedToken(BaseModel):
    id: int
    content: str


class _Pieces(BaseModel):
    model_config = ConfigDict(extra="allow")

    vocab: dict[str, int]


class TokenizerJson(BaseModel):
    """The fields that differ from those of our files; `BpeTokenizer` checks the others."""

    model_config = ConfigDict(extra="allow")

    added_tokens: list[_AddedToken]
    model: _Pieces
    pre_tokenizer: dict[str, object] | None = None
    normalizer: dict[str, object] | None = None

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a file; raise CheckpointError if it is missing or damaged."""
        with naming(path):
            return cls.model_validate_json(read(path, MAX_TOKENIZER_BYTES))

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


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the path of a file to error messages that do not contain it."""
    try:
        yield
    except ValidationError as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error
    except MicrogptError as error:
        problem = str(error)
        raise CheckpointError(problem if str(path) in problem else f"{path}: {problem}") from error
