"""Compare the tokenizers in JavaScript with those in Python."""

import pytest
from foreign_models import tokenizer_file
from hypothesis import given
from hypothesis import strategies as st
from javascript import CHARACTERS, answer_of, as_read, few

from microgpt import BpeTokenizer
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Tokenizer
from microgpt_page.packed_files import bpe_facts

LEARNED = [
    "It's 12 o'clock, isn't it?",
    "naïve café 👩‍🚀 — 日本語",
    "we've  seen\n\n\tthat's it",
] * 3
CODE = """
import { BpeTokenizer } from "./bpe.js";
import { FoldingTokenizer } from "./folding.js";
import { CharTokenizer } from "./tokenizer.js";
const made = new Map();
function tokenizerOf({ kind, chars, pieces, merges }) {
  if (kind === "bpe") return new BpeTokenizer(pieces, merges, true);
  return new (kind === "fold" ? FoldingTokenizer : CharTokenizer)(chars, true);
}
function answer([facts, what, given]) {
  const tokenizer = tokenizerOf(facts);
  if (what === "encode") return tokenizer.encode(given);
  if (what === "read") {
    const [unknown, read] = [tokenizer.unknown(given).join(""), [...tokenizer.reading(given)]];
    return [unknown, read, tokenizer.count(given)];
  }
  if (what === "label") return tokenizer.label(given);
  const decode = tokenizer.decoder();
  const parts = given.map((token) => decode([token], false));
  return [tokenizer.decode(given), [...parts, decode([], true)].join("")];
}
"""


def kinds() -> dict[str, Tokenizer]:
    return {
        "char": CharTokenizer("abcé ☃\n'", is_chat=True),
        "fold": FoldingTokenizer("abcdeins .'", is_chat=True),
        "fold without space": FoldingTokenizer("abs"),
        "bpe": BpeTokenizer(BpeTokenizer.from_documents(LEARNED, 300).file or b"", is_chat=True),
        "bpe without bytes": BpeTokenizer(tokenizer_file(LEARNED, 100), is_chat=True),
    }


@pytest.fixture(scope="module", params=kinds())
def tokenizer(request) -> Tokenizer:
    return kinds()[request.param]


def facts_of(tokenizer: Tokenizer) -> dict:
    if isinstance(tokenizer, BpeTokenizer):
        return {"kind": "bpe", **bpe_facts(tokenizer)}
    kind = "fold" if isinstance(tokenizer, FoldingTokenizer) else "char"
    return {"kind": kind, "chars": "".join(tokenizer.chars or ())}


def asked(node, tokenizer: Tokenizer, what: str, inputs) -> list:
    return node(CODE, [[facts_of(tokenizer), what, each] for each in inputs])


# The texts contain unknown characters, surrogates, and characters that normalization changes.
TEXTS = st.lists(
    st.text(st.sampled_from("abcéABÉ ☃\n'ß\u0301\x1c\x85\u3000ﬁ1½Ⅻ\ud83d😀")) | st.text(CHARACTERS),
    min_size=40,
)


@few
@given(TEXTS)
def test_javascript_encodes_texts_as_python_does(node, tokenizer, texts) -> None:
    texts = [*map(as_read, texts), *LEARNED, "bad \ud800", "a\ud800b"]
    expected = [answer_of(tokenizer.encode, text) for text in texts]
    assert asked(node, tokenizer, "encode", texts) == expected


@few
@given(TEXTS)
def test_javascript_replaces_unknown_characters_as_python_does(node, tokenizer, texts) -> None:
    def read(text: str) -> list:
        table = [[chr(code), other] for code, other in tokenizer.reading(text).items()]
        return [tokenizer.unknown_characters(text), table, tokenizer.count(text)]

    texts = list(map(as_read, texts))
    if isinstance(tokenizer, BpeTokenizer):  # BPE counts only texts that it can encode
        texts = [text for text in texts if not tokenizer.unknown_characters(text)]
    assert asked(node, tokenizer, "read", texts) == [answer_of(read, text) for text in texts]


@few
@given(st.lists(st.lists(st.integers(0, 10**6)), min_size=30))
def test_javascript_decodes_tokens_as_python_does(node, tokenizer, rows) -> None:
    """The tokens include parts of characters, and are decoded all at once and one by one."""
    rows = [[token % tokenizer.vocab_size for token in tokens] for tokens in rows]
    expected = [[tokenizer.decode(row), "".join(tokenizer.decode_stream(row))] for row in rows]
    assert asked(node, tokenizer, "decode", rows) == expected


def test_javascript_labels_tokens_as_python_does(node, tokenizer) -> None:
    tokens = range(tokenizer.vocab_size)
    if not tokenizer.is_chat:  # CODE makes only chat tokenizers, whose special tokens differ
        tokens = range(tokenizer.vocab_size - 1)
    assert asked(node, tokenizer, "label", tokens) == list(map(tokenizer.label, tokens))
