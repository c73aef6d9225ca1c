from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.sliding_windows import SlidingWindows, default_stride, turn_windows


def counted(chunks) -> list[int]:
    """Return the tokens whose predictions count, in order."""
    return [
        token
        for tokens, mask in chunks
        for i, token in enumerate(tokens)
        if i and (mask is None or mask[i])
    ]


@given(n=st.integers(2, 80), block_size=st.integers(1, 20))
def test_each_token_is_predicted_once_with_enough_context(n: int, block_size: int) -> None:
    windows = SlidingWindows(range(n), block_size)
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
    """Return [BOS, turns…, BOS] with a number of its own for each token but the roles, and BOS."""
    tokens, number = [0], 200
    for i, length in enumerate(lengths):
        tokens += [ROLE_IDS[i % 2], *range(number, number + length)]
        number += length
    return [*tokens, 0]


turn_lengths = st.lists(st.integers(1, 12), min_size=1, max_size=12)


@given(lengths=turn_lengths, block_size=st.integers(1, 30), data=st.data())
def test_each_reply_token_of_a_conversation_is_learnt_once(lengths, block_size, data) -> None:
    tokens = conversation_of(lengths)
    size = len(tokens)
    mask = bytes(byte % 2 for byte in data.draw(st.binary(min_size=size, max_size=size)))
    places = [i for i in range(1, size) if mask[i]]
    learnt = []
    for chunk, counts in turn_windows(tokens, block_size, mask, ROLE_IDS):
        assert 2 <= len(chunk) <= block_size + 1
        assert len(counts) == len(chunk)
        assert counts[0] == 0
        assert any(counts)
        learnt += [chunk[i] for i in range(len(chunk)) if counts[i]]
    assert learnt == [tokens[i] for i in places]


@given(lengths=st.lists(st.integers(1, 6), min_size=2, max_size=20), block_size=st.integers(20, 40))
def test_a_chunk_consists_of_whole_turns_if_they_fit(lengths, block_size) -> None:
    """As it is read in use: from BOS on, whole turns, the user's first, none cut off."""
    tokens = conversation_of(lengths)
    is_reply, mask = False, bytearray()
    for token in tokens:
        is_reply = token == ROLE_IDS[1] or (is_reply and token not in (0, ROLE_IDS[0]))
        mask.append(is_reply and token not in ROLE_IDS)
    for chunk, counts in turn_windows(tokens, block_size, bytes(mask), ROLE_IDS):
        assert tuple(chunk[:2]) == (0, ROLE_IDS[0])
        begin = tokens.index(chunk[2]) - 1
        assert chunk[1:] == tokens[begin : begin + len(chunk) - 1]
        end = begin + len(chunk) - 1
        assert tokens[end] in (0, *ROLE_IDS), "it ends with a turn"
        first = counts.index(1)
        question = max(i for i in range(first) if chunk[i] == ROLE_IDS[0])
        assert question < first, "the question is there"


def test_earlier_turns_fill_at_most_half_the_context() -> None:
    tokens = conversation_of([1, 1] * 4)  # eight turns of two tokens
    mask = bytes([0] + [0, 0, 0, 1] * 4 + [0])
    chunks = turn_windows(tokens, 12, mask, ROLE_IDS)
    assert [chunk[1::2] for chunk, _ in chunks] == [[100, 101] * 3, [100, 101] * 2]
    assert [chunk[2::2] for chunk, _ in chunks] == [[*range(200, 206)], [*range(204, 208)]]
    assert [counts.count(1) for _, counts in chunks] == [3, 1]
