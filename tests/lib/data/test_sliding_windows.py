from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.sliding_windows import SlidingWindows, half


def counted(pieces) -> list[int]:
    """Return the tokens whose predictions count, in order."""
    return [
        token
        for tokens, mask in pieces
        for i, token in enumerate(tokens)
        if i and (mask is None or mask[i])
    ]


@given(n=st.integers(2, 80), block_size=st.integers(1, 20))
def test_each_prediction_is_made_once_and_from_half_a_context(n: int, block_size: int) -> None:
    windows = SlidingWindows(range(n), block_size)
    assert counted(windows) == list(range(1, n))
    assert len(list(windows)) == len(windows)
    for tokens, mask in windows:
        assert 2 <= len(tokens) <= block_size + 1
        assert mask is None or len(mask) == len(tokens)
        for i in range(1, len(tokens)):
            if mask is None or mask[i]:
                assert i >= min(tokens[i], block_size - half(block_size) + 1)  # what it sees


@given(mask=st.binary(min_size=2, max_size=80), block_size=st.integers(1, 20))
def test_what_does_not_count_in_a_document_counts_in_no_window(mask, block_size) -> None:
    mask = bytes(byte % 2 for byte in mask)
    windows = SlidingWindows(range(len(mask)), block_size, mask)
    assert counted(windows) == [i for i in range(1, len(mask)) if mask[i]]


@given(n=st.integers(2, 80), block_size=st.integers(1, 20), learns=st.booleans())
def test_running_text_is_read_from_a_beginning_in_each_piece(n, block_size, learns) -> None:
    windows = SlidingWindows(range(n), block_size, first=-1, stride=block_size if learns else None)
    assert counted(windows) == list(range(1, n))
    for tokens, mask in windows:
        assert tokens[0] == -1
        assert 2 <= len(tokens) <= block_size + 1
        assert not (learns and mask), "all of a piece is learnt"


@given(n=st.integers(2, 80), block_size=st.integers(1, 20))
def test_any_piece_can_be_had_alone(n, block_size) -> None:
    windows = SlidingWindows(range(n), block_size)
    assert [windows[i] for i in range(len(windows))] == list(windows)
