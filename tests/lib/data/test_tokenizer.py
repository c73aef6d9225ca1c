import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import CharTokenizer, Message
from microgpt.errors import TokenizerError

MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["user", "assistant"]), st.text()), min_size=1, max_size=6
)


@settings(max_examples=40)
@given(st.lists(st.text(), min_size=1, max_size=5).filter(any))
def test_decoding_reverses_encoding_for_any_text(docs: list[str]) -> None:
    tokenizer = CharTokenizer.from_documents(docs)
    assert [tokenizer.decode(tokenizer.encode(doc)) for doc in docs] == docs


@given(MESSAGES.filter(lambda messages: any(m.content for m in messages)))
def test_the_assistant_mask_covers_replies_and_their_end_tokens(messages) -> None:
    tokenizer = CharTokenizer.from_documents([messages])
    tokens = tokenizer.encode_document(messages)
    mask = tokenizer.mask(messages)
    assert len(mask) == len(tokens)
    learnt = [token for token, counts in zip(tokens, mask, strict=True) if counts]
    said = [message.content for message in messages if message.role == "assistant"]
    end = tokenizer.end_turn_id
    assert learnt == [token for text in said for token in (*tokenizer.encode(text), end)]


def test_bos_follows_the_sorted_characters_and_encloses_texts() -> None:
    tokenizer = CharTokenizer.from_documents(["hello", "héllo"])
    assert tokenizer.chars == ("e", "h", "l", "o", "é")
    assert (tokenizer.bos_id, tokenizer.vocab_size) == (5, 6)
    assert list(tokenizer.special_ids) == [5]
    assert tokenizer.encode_document("hé") == [5, 1, 4, 5]


def test_chat_models_have_extra_tokens_for_roles_and_turn_ends() -> None:
    conversation = [Message("user", "ab"), Message("assistant", "c")]
    tokenizer = CharTokenizer.from_documents([conversation])
    assert tokenizer.role_id("user") == 3
    assert tokenizer.role_id("assistant") == 4
    assert (tokenizer.end_turn_id, tokenizer.bos_id, tokenizer.vocab_size) == (5, 6, 7)
    assert tokenizer.encode_turn(conversation[0]) == [3, 0, 1, 5]
    assert tokenizer.encode_document(conversation) == [6, 3, 0, 1, 5, 4, 2, 5, 6]


def test_encode_names_every_unknown_character() -> None:
    assert CharTokenizer("abc").unknown_characters("xaybx") == "xy"
    with pytest.raises(TokenizerError, match="does not contain 'é', 'Z'; use only 'abc'"):
        CharTokenizer("abc").encode("aéZéb")


@pytest.mark.parametrize(
    ("tokenizer", "role", "problem"),
    [
        (CharTokenizer("ab", is_chat=True), "system", 'unknown role "system"'),
        (CharTokenizer("ab"), "user", "not a chat model; train one with --chat"),
    ],
)
def test_encoding_a_turn_needs_a_chat_tokenizer_and_known_role(tokenizer, role, problem) -> None:
    with pytest.raises(TokenizerError, match=problem):
        tokenizer.encode_turn(Message(role, "a"))


def test_decode_skips_special_tokens_and_refuses_unknown_ones() -> None:
    tokenizer = CharTokenizer("ab", is_chat=True)
    assert tokenizer.decode([0, 2, 3, 4, 5, 1]) == "ab"
    for token in (6, -1):
        with pytest.raises(TokenizerError, match=f"token {token} is not in the vocabulary"):
            tokenizer.decode([token])


@pytest.mark.parametrize(
    ("chars", "problem"),
    [([], "at least one"), (["ab"], "'ab' is not"), ("aba", "'a' .* twice"), ("\ud800", "lone")],
)
def test_a_vocabulary_must_consist_of_distinct_characters(chars, problem) -> None:
    with pytest.raises(TokenizerError, match=problem):
        CharTokenizer(chars)
