from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import CharTokenizer, Message
from microgpt.data.context import (
    ChunkedDataset,
    SlidingWindows,
    conversation_windows,
    default_stride,
    fit_conversation,
)
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import ROLES
from microgpt.errors import PromptError

TEXT = CharTokenizer("ab")
CHAT = CharTokenizer("ab", is_chat=True)
texts = st.lists(st.text("ab", min_size=1, max_size=40), min_size=1, max_size=5)
conversations = st.lists(
    st.lists(st.text("ab", min_size=1, max_size=9), min_size=2, max_size=8).map(
        lambda contents: tuple(Message(ROLES[i % 2], content) for i, content in enumerate(contents))
    ),
    min_size=1,
    max_size=4,
)
contexts = st.integers(1, 24)


def reading(docs, block_size, *, tokenizer=TEXT, text="lines") -> ChunkedDataset:
    return ChunkedDataset(docs, tokenizer, block_size, text)


def whole(read: ChunkedDataset) -> TokenDataset:
    return read.encode(range(len(read)))


def n_to_learn(docs, tokenizer) -> int:
    masks = map(tokenizer.mask, docs)
    lengths = map(len, map(tokenizer.encode_document, docs))
    return sum(
        length - 1 if mask is None else sum(mask)
        for length, mask in zip(lengths, masks, strict=True)
    )


@pytest.mark.parametrize(("kind", "tokenizer"), [(texts, TEXT), (conversations, CHAT)])
@given(data=st.data(), block_size=contexts)
def test_chunks_fit_the_context_and_have_all_predictions(kind, tokenizer, data, block_size) -> None:
    docs = data.draw(kind)
    read = reading(docs, block_size, tokenizer=tokenizer)
    dataset = whole(read)
    assert dataset.n_predictions == n_to_learn(docs, tokenizer)
    assert dataset.longest <= block_size + 1
    assert len(dataset.tokens) - len(dataset) == read.n_tokens


@given(docs=texts, block_size=contexts)
def test_chunks_of_running_text_predict_each_token_once_and_no_end_token(docs, block_size) -> None:
    read = reading(docs, block_size, text="stream")
    dataset = whole(read)
    assert dataset.longest <= block_size + 1
    assert {piece[0] for piece in dataset} == {TEXT.bos_id}
    assert [token for piece in dataset for token in piece[1:]] == TEXT.encode("".join(docs))
    assert dataset.n_predictions == read.n_tokens == sum(map(len, docs))
    assert not dataset.mask


def test_chunks_can_be_encoded_in_any_order() -> None:
    read = reading(["ab" * 9, "a", "ba" * 7], 4)
    pieces = list(whole(read))
    order = [5, 0, len(read) - 1, 5]
    assert list(read.encode(order)) == [pieces[i] for i in order]
    assert len(pieces) == 9 + 1 + 7


def counted(chunks) -> list[int]:
    """Return the tokens whose predictions count towards the loss, in the order of the chunks."""
    return [
        token
        for tokens, mask in chunks
        for i, token in enumerate(tokens)
        if i and (mask is None or mask[i])
    ]


@given(n=st.integers(2, 80), block_size=st.integers(1, 20))
def test_windows_predict_each_token_once_with_enough_context(n: int, block_size: int) -> None:
    windows = SlidingWindows(range(n), block_size, default_stride(block_size))
    assert counted(windows) == list(range(1, n))
    assert len(list(windows)) == len(windows)
    for tokens, mask in windows:
        assert 2 <= len(tokens) <= block_size + 1
        assert mask is None or len(mask) == len(tokens)
        for i in range(1, len(tokens)):
            if mask is None or mask[i]:
                context = block_size - default_stride(block_size) + 1
                assert i >= min(tokens[i], context)


ROLE_IDS = (100, 101)


def conversation_of(lengths: list[int]) -> list[int]:
    """Return the tokens [BOS, turns…, BOS]; all except roles and BOS are different."""
    tokens, number = [0], 200
    for i, length in enumerate(lengths):
        tokens += [ROLE_IDS[i % 2], *range(number, number + length)]
        number += length
    return [*tokens, 0]


turn_lengths = st.lists(st.integers(1, 12), min_size=1, max_size=12)


@given(lengths=turn_lengths, block_size=st.integers(1, 30), data=st.data())
def test_conversation_windows_learn_each_selected_token_once(lengths, block_size, data) -> None:
    tokens = conversation_of(lengths)
    size = len(tokens)
    mask = bytes(byte % 2 for byte in data.draw(st.binary(min_size=size, max_size=size)))
    places = [i for i in range(1, size) if mask[i]]
    learnt = []
    for chunk, counts in conversation_windows(tokens, block_size, mask, ROLE_IDS[0]):
        assert 2 <= len(chunk) <= block_size + 1
        assert len(counts) == len(chunk)
        assert counts[0] == 0
        assert any(counts)
        learnt += [chunk[i] for i in range(len(chunk)) if counts[i]]
    assert learnt == [tokens[i] for i in places]


@given(lengths=st.lists(st.integers(1, 5), min_size=2, max_size=20), block_size=st.integers(28, 40))
def test_a_chunk_of_a_conversation_begins_like_a_prompt(lengths, block_size) -> None:
    """A chunk begins with BOS and a user turn, at most half a context before its learnt tokens."""
    tokens = conversation_of(lengths)
    is_reply, mask = False, bytearray()
    for token in tokens:
        is_reply = token == ROLE_IDS[1] or (is_reply and token not in (0, ROLE_IDS[0]))
        mask.append(is_reply and token not in ROLE_IDS)
    for chunk, counts in conversation_windows(tokens, block_size, bytes(mask), ROLE_IDS[0]):
        assert tuple(chunk[:2]) == (0, ROLE_IDS[0])
        begin = tokens.index(chunk[2]) - 1
        assert chunk[1:] == tokens[begin : begin + len(chunk) - 1]
        assert counts.index(1) - 1 <= block_size // 2


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
    """Return the tokens of a turn: the role, the characters in the vocabulary, and end_turn."""
    read = map(TOKENIZER.chars.index, known(message.content))
    return [TOKENIZER.role_id(message.role), *read, TOKENIZER.end_turn_id]


@given(in_any_order, st.integers(1, 80))
def test_a_prompt_has_the_latest_turns_that_fit_or_is_refused(messages, size) -> None:
    """A quarter of the context is left for a reply; an old reply is dropped with its question."""
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
def test_unknown_white_space_becomes_a_space_if_one_is_known(chars, read, left_out) -> None:
    tokenizer = CharTokenizer(chars, is_chat=True)
    prompt = fit_conversation([Message("user", "a\nX\u3000b")], tokenizer, 80)
    assert [message.content for message in prompt.messages] == [read]
    assert tokenizer.decode(prompt.tokens) == read
    assert prompt.unknown_characters == left_out


@pytest.mark.parametrize("content", ["日本", "日 本", "\u0301"])
def test_a_last_message_of_only_unknown_characters_is_refused(content) -> None:
    tokenizer = FoldingTokenizer(TOKENIZER.chars, is_chat=True)
    early = [Message("user", content), Message("assistant", "a"), Message("user", "b")]
    assert tokenizer.decode(fit_conversation(early, tokenizer, 80).tokens).strip() == "ab"
    with pytest.raises(PromptError, match="no character of the message is in the vocabulary"):
        fit_conversation(early[:1], tokenizer, 80)
