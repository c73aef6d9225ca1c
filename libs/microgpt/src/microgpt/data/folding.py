"""A character tokenizer that folds case and accents: "Jörg" is encoded as "jorg"."""

import re
import unicodedata
from collections.abc import Iterable

from microgpt.data.tokenizer import AnyDocument, CharTokenizer, Document

# Replacements for letters and punctuation that have no decomposition in Unicode.
TABLE = str.maketrans(
    {
        "æ": "ae", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "ø": "o", "œ": "oe",  # noqa: RUF001
        "þ": "th", "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-",  # noqa: RUF001
    }
)  # fmt: skip
# Characters that Unicode 16 marks as Default_Ignorable_Code_Point, Dash or Quotation_Mark.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
DASHES = re.compile(
    "[\u058a\u05be\u1400\u1806\u2010-\u2015\u2053\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d\u301c\u3030"
    "\u30a0\U00010d6e\U00010ead]"
)
SINGLE_QUOTES = re.compile("[\u2018-\u201b\u2039\u203a]")
DOUBLE_QUOTES = re.compile("[\u00ab\u00bb\u201c-\u201f\u2e42\u300c-\u300f\u301d-\u301f]")


def fold(text: str) -> str:
    """Fold case and remove accents: "Straße" becomes "strasse".

    Apply case folding and compatibility decomposition (Unicode, sections 3.13 and 3.11), remove the
    combining diacritical marks U+0300 to U+036F, recompose the rest (for Hangul) and apply `TABLE`.
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(char for char in decomposed if not "\u0300" <= char <= "\u036f")
    return unicodedata.normalize("NFC", kept).translate(TABLE)


def plain(text: str) -> str:
    """Fold a text, unify its dashes, quotes and spaces, and remove invisible characters."""
    if text.isascii():
        return " ".join(text.lower().split())  # a shortcut with the same result
    folded = DASHES.sub("-", INVISIBLE.sub("", fold(text)))
    return " ".join(DOUBLE_QUOTES.sub('"', SINGLE_QUOTES.sub("'", folded)).split())


def char_tokenizer(docs: Iterable[Document]) -> CharTokenizer:
    """Return a character tokenizer; it folds text if docs are chats without capitals or accents."""
    exact = CharTokenizer.from_documents(docs)
    folds = exact.is_chat and all(fold(char) == char for char in exact.chars)
    return FoldingTokenizer(exact.chars, is_chat=True) if folds else exact


class FoldingTokenizer(CharTokenizer):
    """A `CharTokenizer` that folds unknown characters; unknown white space becomes a space."""

    folds = True

    @classmethod
    def from_documents(cls, docs: Iterable[AnyDocument]) -> "FoldingTokenizer":
        """Build a tokenizer from the folded characters of texts or conversations."""
        exact = CharTokenizer.from_documents(docs)
        return cls(sorted(set(fold("".join(exact.chars)))), is_chat=exact.is_chat)

    def _as_read(self, text: str) -> str:
        """Return the text; fold unknown characters if their folded form is in the vocabulary."""
        folds: dict[int, str] = {}
        for char in set(text).difference(self._id_of):
            folded = " " if char.isspace() else fold(char)
            if self._id_of.keys() >= set(folded):
                folds[ord(char)] = folded
        return text.translate(folds) if folds else text
