import random

import pytest
from foreign_models import tokenizer_file
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library

from microgpt import BpeTokenizer, Message
from microgpt.errors import ConfigError, PromptError, TokenizerError

DOCS = ["anna and emma", "it's an old hat, and 12 more;  x", "naïve 👩‍🚀 👩‍🚀"] * 3
CONVERSATION = (Message("user", "hé?"), Message("assistant", "anna and"))
TEXT = BpeTokenizer.from_documents(DOCS, vocab_size=300)
CHAT = BpeTokenizer(TEXT.file, is_chat=True)
LIBRARY = Library.from_buffer(TEXT.file)

# Any characters except surrogates, with many that a pattern could mistake for the end of a word.
UNICODE = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(" \t\n\r\x1c\x1f\x85\xa0\u3000an'12é🚀"),
    )
)


@given(UNICODE)
@example("\x00\ufeff\uffff\U0010ffff")
def test_bpe_encodes_like_the_tokenizers_library_and_reversibly(text) -> None:
    tokens, pieces = TEXT.encode(text), [*TEXT.decode_stream(TEXT.encode(text))]
    assert tokens == LIBRARY.encode(text).ids
    assert max(tokens, default=0) < TEXT.bos_id
    assert TEXT.count(text) == len(tokens)
    assert TEXT.decode(tokens) == "".join(pieces) == text
    assert all(text.count(piece) for piece in pieces)  # no piece splits a character
    assert TEXT.unknown_characters(text) == ""


@given(st.lists(st.integers(0, CHAT.vocab_size - 1)))
def test_decoding_tokens_one_by_one_gives_the_same_text_as_all_at_once(tokens) -> None:
    assert "".join(CHAT.decode_stream(tokens)) == CHAT.decode(tokens)


@pytest.mark.parametrize(
    "text", ["<|user|>", "<|endoftext|>", "<|assistant|>x<|end_turn|>", "[BOS]", "<s>", "bos"]
)
def test_text_that_looks_like_a_special_token_is_encoded_as_text(text) -> None:
    tokenizer = BpeTokenizer.from_documents([[Message("user", text * 9)]] * 9, vocab_size=400)
    tokens = tokenizer.encode_document([Message("user", text)])
    inside = tokens[2:-2]
    assert tokenizer.decode(inside) == text
    assert not set(inside) & set(tokenizer.special_ids)
    assert tokens[:2] == [tokenizer.bos_id, tokenizer.role_id("user")]
    assert tokens[-2:] == [tokenizer.end_turn_id, tokenizer.bos_id]


def test_bpe_training_ends_early_if_no_pair_repeats() -> None:
    tokenizer = BpeTokenizer.from_documents(["abcd", "ab"], vocab_size=5000)
    assert tokenizer.vocab_size == 258
    assert tokenizer.names[-2:] == (b"ab", "bos")


def test_bpe_learns_from_a_long_text_without_spaces() -> None:
    """Training on the text as a single word would take time quadratic in its length."""
    text = "".join(random.Random(1).choices("ACGT", k=200_000))
    tokenizer = BpeTokenizer.from_documents([text], vocab_size=280)
    assert tokenizer.vocab_size == 280
    assert tokenizer.count(text) < 100_000


@pytest.mark.parametrize(("docs", "least"), [([], 257), (["a"], 257), ([CONVERSATION], 260)])
def test_a_vocab_size_below_bytes_and_special_tokens_is_refused(docs, least) -> None:
    assert BpeTokenizer.from_documents(docs, vocab_size=least).vocab_size == least
    with pytest.raises(ConfigError, match=f"vocab_size must be >= {least} .* got {least - 1}"):
        BpeTokenizer.from_documents(docs, vocab_size=least - 1)


def test_a_text_with_a_lone_surrogate_is_refused_by_bpe() -> None:
    assert TEXT.unknown_characters("a\ud800b\udfff\ud800") == "\ud800\udfff"
    for use in (TEXT.encode, TEXT.count, lambda text: BpeTokenizer.from_documents([text])):
        with pytest.raises(
            TokenizerError, match=r"no token for '.ud800'; .*read the text as UTF-8"
        ):
            use("a \ud800")


def test_tokens_outside_the_vocabulary_are_refused() -> None:
    for token in (TEXT.vocab_size, -1):
        with pytest.raises(TokenizerError, match=f"token {token} is not in the vocabulary"):
            TEXT.decode([token])


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b'"model"', b'"modem"', "not a valid tokenizer"),
        (b'prefix_space": false', b'prefix_space": true', "unsupported tokenizer: pre_tok"),
        (b'normalizer": null', b'normalizer": {"type": "NFC"}', "unsupported tokenizer: norm"),
        (b'"unk_token": null', b'"unk_token": "a"', "unsupported tokenizer: model"),
        (b'"added_tokens": [', b'"added_tokens": [{"id": 3}', "unsupported tokenizer: added"),
        (b'"a": 64,', b'"a": 640,', "must be consecutive integers from 0"),
        ('"Ā": '.encode(), '"漢": '.encode(), "tokens must be byte sequences"),
        (b'"a": 64', b'"\\u001b[2J": []', "not a valid tokenizer: .* vocab, .* integers"),
        (b'merges": [', b'merges": [["zz", "a"],', "of 'zz' and 'a' needs a missing token: 'zz'"),
        (b'"merges": [', b'"merges": ["a b",', "not a valid tokenizer: .* merges, a list of pairs"),
        # With these settings, the tokenizers library would panic, or take a minute and gigabytes.
        (b'subword_prefix": null', b'subword_prefix": "##"', 'continuing_subword_prefix is "##"'),
        (b'"a": 64,', b'"a": 2147483648,', "must be consecutive integers from 0"),
        (b'merges": [', b'merges": [["anna", "anna"],', "needs a missing token: 'annaanna'"),
    ],
)
def test_a_damaged_or_foreign_tokenizer_file_is_refused(old, new, problem, capfd) -> None:
    assert old in TEXT.file
    with pytest.raises(TokenizerError, match=problem) as refusal:
        BpeTokenizer(TEXT.file.replace(old, new, 1))
    assert str(refusal.value).isprintable()
    assert capfd.readouterr().err == ""  # a Rust panic would print a backtrace


def test_characters_without_a_token_are_reported_as_unknown() -> None:
    tokenizer = BpeTokenizer(tokenizer_file(["anna and emma, naïve"] * 2, 40))
    assert tokenizer.decode(tokenizer.encode("emma and anna")) == "emma and anna"
    assert tokenizer.unknown_characters("axbxa ï\xae\ud800") == "xb\xae\ud800"
    with pytest.raises(TokenizerError, match="the vocabulary has no token for 'x', 'é'"):
        tokenizer.encode("anna xé")


@pytest.mark.compiled
def test_the_error_for_an_overlong_message_gives_its_length_in_tokens(subword_gpt) -> None:
    with pytest.raises(PromptError, match="the message has 60 tokens; at most 32 fit into the"):
        subword_gpt.chat_prompt([Message("user", "é" * 30)])
