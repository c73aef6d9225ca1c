"""Tokenizers, documents, splits, datasets."""

from microgpt.data.bpe import BpeTokenizer
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Tokenizer

# Keys are values of `tokenizer` in meta.json, where a folding tokenizer has "char" and `fold`.
TOKENIZERS: dict[str, type[Tokenizer]] = {
    "char": CharTokenizer,
    "fold": FoldingTokenizer,
    "bpe": BpeTokenizer,
}
