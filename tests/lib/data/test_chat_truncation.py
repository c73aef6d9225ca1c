"""Laws of a conversation that is fitted into a context."""

from itertools import chain

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from microgpt import CharTokenizer, Message
from microgpt.data.chat_truncation import ChatPrompt, fit_conversation
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import ROLES
from microgpt.errors import PromptError

SPECIAL = ("<|user|>", "<|assistant|>", "<|end_turn|>", "<|bos|>")
TOKENIZER = CharTokenizer(sorted({*"".join(SPECIAL), *" abc"}), is_chat=True)
CONTENT = st.lists(
    st.text(st.sampled_from(TOKENIZER.chars)) | st.sampled_from(SPECIAL) | st.text(max_size=3),
    max_size=3,
).map("".join)


@st.composite
def proper(draw) -> list[Message]:
    """Return a conversation in which the user has the first word and the last."""
    contents = draw(st.lists(CONTENT, min_size=1, max_size=9).filter(lambda c: len(c) % 2))
    return [Message(ROLES[i % 2], content) for i, content in enumerate(contents)]


in_any_order = st.lists(st.builds(Message, st.sampled_from(ROLES), CONTENT), min_size=1, max_size=9)
contexts = st.integers(1, 80)


def fitted(messages: list[Message], block_size: int) -> ChatPrompt:
    """Fit a conversation, or pass over an example whose last message is refused."""
    try:
        return fit_conversation(messages, TOKENIZER, block_size)
    except PromptError:
        reject()


def known(content: str) -> str:
    spaced = "".join(" " if char.isspace() else char for char in content)
    return "".join(char for char in spaced if char in TOKENIZER.chars)


def turns(messages: list[Message]) -> list[list[int]]:
    """Return the tokens of each turn, spelt out: the role, characters that are known, the end."""
    return [
        [
            TOKENIZER.role_id(message.role),
            *map(TOKENIZER.chars.index, known(message.content)),
            TOKENIZER.end_turn_id,
        ]
        for message in messages
    ]


@given(in_any_order, contexts)
def test_a_prompt_is_bos_the_latest_whole_turns_and_the_role(messages, size) -> None:
    prompt = fitted(messages, size)
    kept = prompt.tokens[1:-1]
    assert prompt.tokens[0] == TOKENIZER.bos_id
    assert prompt.tokens[-1] == TOKENIZER.role_id("assistant")
    all_turns = turns(messages)
    assert kept in [list(chain.from_iterable(all_turns[i:])) for i in range(len(messages))]
    assert kept == [token for each in prompt.messages for token in TOKENIZER.encode_turn(each)]
    assert prompt.tokens_dropped == sum(map(len, all_turns)) - len(kept)


@given(in_any_order, contexts)
def test_a_quarter_of_the_context_is_left_for_the_reply(messages, size) -> None:
    assert len(fitted(messages, size).tokens) <= size - size // 4


@given(in_any_order, contexts)
def test_a_message_beyond_the_limit_is_refused_with_its_length(messages, size) -> None:
    *_, last = turns(messages)
    room = size - size // 4 - 2  # BOS, and the role of the reply
    if len(last) <= room:
        assume(known(messages[-1].content).strip() or not messages[-1].content.strip())
        assert fit_conversation(messages, TOKENIZER, size).tokens[-1 - len(last) : -1] == last
        return
    told = f"has {len(last) - 2} characters; at most {max(0, room - 2)} fit .* of {size} tokens"
    with pytest.raises(PromptError, match=told):
        fit_conversation(messages, TOKENIZER, size)


@given(in_any_order, contexts)
def test_no_more_turns_than_necessary_are_dropped(messages, size) -> None:
    prompt = fitted(messages, size)
    all_turns = turns(messages)
    n_dropped = next(
        i for i in range(len(messages)) if sum(map(len, all_turns[:i])) == prompt.tokens_dropped
    )
    if n_dropped:
        with_one_more = len(prompt.tokens) + len(all_turns[n_dropped - 1])
        is_reply = messages[n_dropped - 1].role == "assistant"
        assert is_reply or with_one_more > size - size // 4


@given(proper(), contexts)
def test_the_turns_that_remain_begin_with_a_user_message(messages, size) -> None:
    assert fitted(messages, size).tokens[1] == TOKENIZER.role_id("user")


@given(in_any_order, contexts)
def test_no_message_text_can_become_a_special_token(messages, size) -> None:
    tokens = fitted(messages, size).tokens
    n_special = sum(token in TOKENIZER.special_ids for token in tokens)
    n_ends = tokens.count(TOKENIZER.end_turn_id)
    assert n_special == 2 + 2 * n_ends  # BOS and the last role; a role and an end a turn
    assert tokens.count(TOKENIZER.bos_id) == 1


@given(in_any_order, contexts)
def test_unknown_characters_are_listed_once_and_removed(messages, size) -> None:
    prompt = fitted(messages, size)
    said = "".join(message.content for message in messages)
    unknown = [
        char for char in dict.fromkeys(said) if char not in TOKENIZER.chars and not char.isspace()
    ]
    assert list(prompt.unknown_characters) == unknown
    readable = [Message(message.role, known(message.content)) for message in messages]
    assert prompt.tokens == fit_conversation(readable, TOKENIZER, size).tokens


@pytest.mark.parametrize(
    ("chars", "read", "left_out"),
    [("ab ", "a  b", "X"), ("ab", "ab", "\nX\u3000"), ("ab \n", "a\n b", "X")],
)
def test_unknown_white_space_does_not_join_words(chars, read, left_out) -> None:
    tokenizer = CharTokenizer(chars, is_chat=True)
    prompt = fit_conversation([Message("user", "a\nX\u3000b")], tokenizer, 80)
    assert [message.content for message in prompt.messages] == [read]
    assert tokenizer.decode(prompt.tokens) == read
    assert prompt.unknown_characters == left_out


@pytest.mark.parametrize("content", ["日本", "日 本", "\u0301"])
def test_a_message_with_only_unknown_characters_is_refused(content) -> None:
    for tokenizer in (TOKENIZER, FoldingTokenizer(TOKENIZER.chars, is_chat=True)):
        early = [Message("user", content), Message("assistant", "a"), Message("user", "b")]
        assert tokenizer.decode(fit_conversation(early, tokenizer, 80).tokens).strip() == "ab"
        with pytest.raises(PromptError, match="no character of the message is in the vocabulary"):
            fit_conversation(early[:1], tokenizer, 80)
