"""A conversation that is fitted into a context, compared with a plain description."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import CharTokenizer, Message
from microgpt.data.chat_truncation import fit_conversation
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import ROLES
from microgpt.errors import PromptError

SPECIAL = ("<|user|>", "<|assistant|>", "<|end_turn|>", "<|bos|>")
TOKENIZER = CharTokenizer(sorted({*"".join(SPECIAL), *" abc"}), is_chat=True)
CONTENT = st.lists(
    st.text(st.sampled_from(TOKENIZER.chars)) | st.sampled_from(SPECIAL) | st.text(max_size=3),
    max_size=3,
).map("".join)
in_any_order = st.lists(st.builds(Message, st.sampled_from(ROLES), CONTENT), min_size=1, max_size=9)


def known(content: str) -> str:
    spaced = "".join(" " if char.isspace() else char for char in content)
    return "".join(char for char in spaced if char in TOKENIZER.chars)


def turn(message: Message) -> list[int]:
    """Return the tokens of a turn, spelt out: the role, characters that are known, the end."""
    read = map(TOKENIZER.chars.index, known(message.content))
    return [TOKENIZER.role_id(message.role), *read, TOKENIZER.end_turn_id]


@given(in_any_order, st.integers(1, 80))
def test_a_prompt_is_bos_the_latest_whole_turns_and_the_role(messages, size) -> None:
    """A quarter of the context is left for the reply; a reply is dropped with its question."""
    turns, room = [*map(turn, messages)], size - size // 4 - 2
    last, said = turns[-1], messages[-1].content
    problem = ""
    if len(last) > room:
        fitting = max(0, room - 2)
        problem = f"has {len(last) - 2} characters; at most {fitting} fit .* of {size} tokens"
    elif said.strip() and not known(said).strip():
        problem = "no character of the message is in the vocabulary"
    if problem:
        with pytest.raises(PromptError, match=problem):
            fit_conversation(messages, TOKENIZER, size)
        return
    first = next(
        i
        for i, message in enumerate(messages)
        if sum(map(len, turns[i:])) <= room
        and (message.role == "user" or i in (0, len(messages) - 1))
    )
    prompt = fit_conversation(messages, TOKENIZER, size)
    kept = [*chain.from_iterable(turns[first:])]
    assert prompt.tokens == [TOKENIZER.bos_id, *kept, TOKENIZER.role_id("assistant")]
    assert prompt.messages == [Message(one.role, known(one.content)) for one in messages[first:]]
    assert prompt.tokens_dropped == sum(map(len, turns[:first]))
    assert prompt.n_replies == sum(message.role == "assistant" for message in messages)
    everything = dict.fromkeys("".join(message.content for message in messages))
    unknown = [char for char in everything if char not in TOKENIZER.chars and not char.isspace()]
    assert [*prompt.unknown_characters] == unknown


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
    tokenizer = FoldingTokenizer(TOKENIZER.chars, is_chat=True)
    early = [Message("user", content), Message("assistant", "a"), Message("user", "b")]
    assert tokenizer.decode(fit_conversation(early, tokenizer, 80).tokens).strip() == "ab"
    with pytest.raises(PromptError, match="no character of the message is in the vocabulary"):
        fit_conversation(early[:1], tokenizer, 80)
