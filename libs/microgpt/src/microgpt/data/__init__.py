"""Read and split documents, and convert them to tokens."""

from microgpt.data.bpe import BpeTokenizer
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Tokenizer

# Keys: the value of `tokenizer` in meta.json, or "fold" if that value is "char" and `fold` is set.
TOKENIZERS: dict[str, type[Tokenizer]] = {
    "char": CharTokenizer,
    "fold": FoldingTokenizer,
    "bpe": BpeTokenizer,
}
