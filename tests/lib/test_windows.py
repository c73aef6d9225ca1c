from hypothesis import given
from hypothesis import strategies as st

from microgpt.windows import windows


@given(n=st.integers(2, 80), block_size=st.integers(1, 20))
def test_each_prediction_is_made_once_and_from_half_a_context(n: int, block_size: int) -> None:
    tokens, predicted = list(range(n)), []
    for window, mask in windows(tokens, block_size):
        assert len(window) <= block_size + 1
        assert mask is None or len(mask) == len(window)
        for i in range(1, len(window)):
            if mask is None or mask[i]:
                predicted.append(window[i])
                assert i >= min(window[i], block_size - max(1, block_size // 2) + 1)  # what it sees
    assert predicted == tokens[1:]


@given(mask=st.binary(min_size=2, max_size=80), block_size=st.integers(1, 20))
def test_what_does_not_count_in_a_document_counts_in_no_window(mask, block_size) -> None:
    mask = bytes(byte % 2 for byte in mask)
    predicted = [
        window[i]
        for window, part in windows(range(len(mask)), block_size, mask)
        for i in range(1, len(window))
        if part[i]
    ]
    assert predicted == [i for i in range(1, len(mask)) if mask[i]]
