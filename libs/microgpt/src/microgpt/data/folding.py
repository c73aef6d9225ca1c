"""A character tokenizer that folds case and accents: "Jörg" is encoded as "jorg"."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import replace

from microgpt.data.tokenizer import AnyDocument, CharTokenizer, Document

# Replacements for letters and punctuation that have no decomposition in Unicode.
TABLE = str.maketrans(
    {
        "æ": "ae", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "ø": "o", "œ": "oe",  # noqa: RUF001
        "þ": "th", "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-",  # noqa: RUF001
    }
)  # fmt: skip
INVISIBLE = re.compile(
    "[\u00ad\u200b-\u200f\u2060\ufeff]"
)  # soft hyphens, joiners, byte order marks


def fold(text: str) -> str:
    """Fold case and remove accents: "Straße" becomes "strasse".

    Apply case folding and compatibility decomposition (Unicode, sections 3.13 and 3.11), remove the
    combining diacritical marks U+0300 to U+036F, recompose the rest (for Hangul), and
    apply `TABLE`.
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(char for char in decomposed if not "\u0300" <= char <= "\u036f")
    return unicodedata.normalize("NFC", kept).translate(TABLE)


def plain(text: str) -> str:
    """Fold a text, and remove invisible characters and superfluous white space."""
    folded = text.lower() if text.isascii() else INVISIBLE.sub("", fold(text))  # lower is faster
    return " ".join(folded.split())


def folded(doc: Document, fold: Callable[[str], str] = fold) -> Document:
    """Return a text or a conversation with all texts folded, by default with `fold`."""
    if isinstance(doc, str):
        return fold(doc)
    return tuple(replace(message, content=fold(message.content)) for message in doc)


def char_tokenizer(docs: Iterable[Document]) -> CharTokenizer:
    """Return a character tokenizer; it folds text if conversations have no capitals or accents."""
    plain = CharTokenizer.from_documents(docs)
    folds = plain.is_chat and all(fold(char) == char for char in plain.chars)
    return FoldingTokenizer(plain.chars, is_chat=True) if folds else plain


class FoldingTokenizer(CharTokenizer):
    """A `CharTokenizer` that folds unknown characters; unknown white space becomes a space.

    Examples:
        >>> FoldingTokenizer("gjor").encode("Jörg")
        [1, 2, 3, 0]
    """

    folds = True

    def __init__(self, chars: Iterable[str], *, is_chat: bool = False) -> None:
        super().__init__(chars, is_chat=is_chat)
        self._ids_of: dict[str, tuple[int, ...]] = {
            char: (token,) for char, token in self._id_of.items()
        }

    @classmethod
    def from_documents(cls, docs: Iterable[AnyDocument]) -> "FoldingTokenizer":
        """Build a tokenizer from the folded characters of texts or conversations."""
        plain = CharTokenizer.from_documents(docs)
        return cls(sorted(set(fold("".join(plain.chars)))), is_chat=plain.is_chat)

    def unknown_characters(self, text: str) -> str:
        """Return the distinct characters that lack a token even after folding, in text order."""
        return "".join(char for char in dict.fromkeys(text) if self._ids(char) is None)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text; raise TokenizerError if a character is unknown."""
        if self._id_of.keys() >= set(text):  # fast path: no folding needed
            return [self._id_of[char] for char in text]
        tokens: list[int] = []
        for char in text:
            ids = self._ids(char)
            if ids is None:
                raise self._unknown_error(text)
            tokens += ids
        return tokens

    def count(self, text: str) -> int:
        """Return the number of tokens, counting each unknown character as one."""
        if self._id_of.keys() >= set(text):
            return len(text)
        return sum(1 if (ids := self._ids(char)) is None else len(ids) for char in text)

    def _ids(self, char: str) -> tuple[int, ...] | None:
        """Return the tokens of a character (empty for a combining mark), or None if unknown."""
        ids = self._ids_of.get(char)
        if ids is None:
            folded = " " if char.isspace() else fold(char)
            if any(each not in self._id_of for each in folded):
                return None  # not cached: untrusted text could fill the memory
            ids = self._ids_of[char] = tuple(self._id_of[each] for each in folded)
        return ids
