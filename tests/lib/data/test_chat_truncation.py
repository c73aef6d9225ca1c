"""Laws of a conversation that is fitted into a context; stories are in test_inference.py."""

from itertools import chain

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from microgpt import CharTokenizer, Message
from microgpt.data.chat_truncation import ChatPrompt, fit_conversation, turn_windows
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
    """Fit a conversation, or pass over an example whose last message does not fit."""
    try:
        return fit_conversation(messages, TOKENIZER, block_size)
    except PromptError:
        reject()


def known(content: str) -> str:
    return "".join(char for char in content if char in TOKENIZER.chars)


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
def test_a_prompt_is_bos_the_last_turns_whole_and_the_assistants_role(messages, size) -> None:
    prompt = fitted(messages, size)
    kept = prompt.tokens[1:-1]
    assert prompt.tokens[0] == TOKENIZER.bos_id
    assert prompt.tokens[-1] == TOKENIZER.role_id("assistant")
    all_turns = turns(messages)
    assert kept in [list(chain.from_iterable(all_turns[i:])) for i in range(len(messages))]
    assert prompt.tokens_dropped == sum(map(len, all_turns)) - len(kept)


@given(in_any_order, contexts)
def test_a_quarter_of_the_context_is_left_for_the_reply(messages, size) -> None:
    assert len(fitted(messages, size).tokens) <= size - size // 4


@given(in_any_order, contexts)
def test_the_last_message_is_kept_or_refused_with_its_length_and_the_limit(messages, size) -> None:
    *_, last = turns(messages)
    room = size - size // 4 - 2  # BOS, and the role of the reply
    if len(last) <= room:
        assert fit_conversation(messages, TOKENIZER, size).tokens[-1 - len(last) : -1] == last
        return
    told = f"has {len(last) - 2} characters; at most {max(0, room - 2)} fit .* of {size} tokens"
    with pytest.raises(PromptError, match=told):
        fit_conversation(messages, TOKENIZER, size)


@given(in_any_order, contexts)
def test_a_turn_is_dropped_only_for_want_of_room_or_with_its_question(messages, size) -> None:
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
def test_what_is_kept_begins_with_a_question(messages, size) -> None:
    assert fitted(messages, size).tokens[1] == TOKENIZER.role_id("user")


@given(in_any_order, contexts)
def test_no_text_becomes_a_special_token(messages, size) -> None:
    tokens = fitted(messages, size).tokens
    n_special = sum(token in TOKENIZER.special_ids for token in tokens)
    n_ends = tokens.count(TOKENIZER.end_turn_id)
    assert n_special == 2 + 2 * n_ends  # BOS and the last role; a role and an end a turn
    assert tokens.count(TOKENIZER.bos_id) == 1


@given(in_any_order, contexts)
def test_characters_that_are_unknown_are_named_once_and_left_out(messages, size) -> None:
    prompt = fitted(messages, size)
    said = "".join(message.content for message in messages)
    unknown = [char for char in dict.fromkeys(said) if char not in TOKENIZER.chars]
    assert list(prompt.unknown_characters) == unknown
    readable = [Message(message.role, known(message.content)) for message in messages]
    assert prompt.tokens == fit_conversation(readable, TOKENIZER, size).tokens


@pytest.mark.parametrize("content", SPECIAL)
def test_the_name_of_a_special_token_is_read_letter_by_letter(content) -> None:
    tokens = fit_conversation([Message("user", content)], TOKENIZER, 80).tokens
    assert TOKENIZER.decode(tokens) == content


ROLE_IDS = (100, 101)


def conversation_of(lengths: list[int]) -> list[int]:
    """Return [BOS, turns…, BOS] with a number of its own for each token but the roles, and BOS."""
    tokens, number = [0], 200
    for i, length in enumerate(lengths):
        tokens += [ROLE_IDS[i % 2], *range(number, number + length)]
        number += length
    return [*tokens, 0]


turn_lengths = st.lists(st.integers(1, 12), min_size=1, max_size=12)


@given(lengths=turn_lengths, block_size=st.integers(1, 30), data=st.data())
def test_whatever_is_to_be_learnt_of_a_conversation_is_learnt_once(
    lengths, block_size, data
) -> None:
    tokens = conversation_of(lengths)
    size = len(tokens)
    mask = data.draw(st.none() | st.binary(min_size=size, max_size=size))
    mask = mask and bytes(byte % 2 for byte in mask)
    places = [i for i in range(1, size) if not mask or mask[i]]
    learnt = []
    for piece, counts in turn_windows(tokens, block_size, mask, ROLE_IDS):
        assert 2 <= len(piece) <= block_size + 1
        assert len(counts) == len(piece)
        assert counts[0] == 0
        assert any(counts)
        learnt += [piece[i] for i in range(len(piece)) if counts[i]]
    assert learnt == [tokens[i] for i in places]


@given(lengths=st.lists(st.integers(1, 6), min_size=2, max_size=20), block_size=st.integers(20, 40))
def test_where_turns_fit_every_piece_is_a_conversation(lengths, block_size) -> None:
    """As it is read in use: from BOS on, whole turns, the user's first, none cut off."""
    tokens = conversation_of(lengths)
    is_reply, mask = False, bytearray()
    for token in tokens:
        is_reply = token == ROLE_IDS[1] or (is_reply and token not in (0, ROLE_IDS[0]))
        mask.append(is_reply and token not in ROLE_IDS)
    for piece, counts in turn_windows(tokens, block_size, bytes(mask), ROLE_IDS):
        assert tuple(piece[:2]) == (0, ROLE_IDS[0])
        begin = tokens.index(piece[2]) - 1
        assert piece[1:] == tokens[begin : begin + len(piece) - 1]
        end = begin + len(piece) - 1
        assert tokens[end] in (0, *ROLE_IDS), "it ends with a turn"
        first = counts.index(1)
        question = max(i for i in range(first) if piece[i] == ROLE_IDS[0])
        assert question < first, "the question is there"


def test_a_long_reply_goes_on_where_the_context_ended() -> None:
    tokens = conversation_of([2, 12])  # 0 100 200 201 101 202 … 213 0
    mask = bytes(5) + b"\1" * 12 + b"\0"
    assert turn_windows(tokens, 8, mask, ROLE_IDS) == [
        ([0, 100, 200, 201, 101, 202, 203, 204, 205], bytes(5) + b"\1" * 4),
        ([101, *range(202, 210)], bytes(5) + b"\1" * 4),
        ([*range(205, 214)], bytes(5) + b"\1" * 4),
    ]


def test_the_turns_before_a_reply_are_read_with_it_as_far_as_half_a_context_holds_them() -> None:
    tokens = conversation_of([1, 1] * 4)  # eight turns of two tokens
    mask = bytes([0] + [0, 0, 0, 1] * 4 + [0])
    pieces = turn_windows(tokens, 12, mask, ROLE_IDS)
    assert [piece[1::2] for piece, _ in pieces] == [[100, 101] * 3, [100, 101] * 2]
    assert [piece[2::2] for piece, _ in pieces] == [[*range(200, 206)], [*range(204, 208)]]
    assert [counts.count(1) for _, counts in pieces] == [3, 1]
