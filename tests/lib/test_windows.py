from hypothesis import given
from hypothesis import strategies as st

from microgpt.windows import windows


@given(n=st.integers(2, 80), block_size=st.integers(1, 20))
def test_each_prediction_is_made_once_and_from_half_a_context(n: int, block_size: int) -> None:
    tokens, predicted = list(range(n)), []
    for window, n_made in windows(tokens, block_size):
        assert len(window) <= block_size + 1
        for i in range(n_made + 1, len(window)):
            predicted.append(window[i])
            assert i >= min(window[i], block_size - max(1, block_size // 2) + 1)  # what it sees
    assert predicted == tokens[1:]
