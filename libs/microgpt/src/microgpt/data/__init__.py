"""Read and split documents, and convert them to tokens."""

from microgpt.data.bpe import BpeTokenizer
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Tokenizer

# Tokenizer classes by the value of `tokenizer` in meta.json; "fold" is for "char" with `fold` set.
TOKENIZERS: dict[str, type[Tokenizer]] = {
    "char": CharTokenizer,
    "fold": FoldingTokenizer,
    "bpe": BpeTokenizer,
}
