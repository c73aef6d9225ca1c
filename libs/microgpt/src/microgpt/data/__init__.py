"""Tokenizers, documents, splits, datasets."""

from microgpt.data.bpe import BpeTokenizer
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Tokenizer

# By the value of `tokenizer` in meta.json, which says "char" and `fold` for folded characters.
TOKENIZERS: dict[str, type[Tokenizer]] = {
    "char": CharTokenizer,
    "fold": FoldingTokenizer,
    "bpe": BpeTokenizer,
}
