import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.bpe import BpeTokenizer
from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.data.statistics import measure
from microgpt.data.tokenizer import CharTokenizer


@given(st.lists(st.text("ab", min_size=1, max_size=30), min_size=1, max_size=20))
def test_measured_sizes_of_character_models_are_exact(docs: list[str]) -> None:
    tokenizer = CharTokenizer.from_documents(docs)
    sizes = measure(docs, tokenizer, "lines")
    chunks = ChunkedDataset(docs, tokenizer, 64, "lines")
    assert sizes.n_tokens == pytest.approx(chunks.n_tokens)
    assert sizes.chunk_length(64) == pytest.approx(chunks.n_tokens / len(chunks))
    assert sizes.n_characters == sum(map(len, docs))
    assert sizes.quantile(1.0) == max(map(len, docs)) + 1


def test_the_number_of_subwords_is_estimated_within_1_percent() -> None:
    docs = ["the cat and the dog " * 1000] * 3
    tokenizer = BpeTokenizer.from_documents(docs, 300)
    exact = sum(map(tokenizer.count, docs))
    assert measure(docs, tokenizer, "stream").n_tokens == pytest.approx(exact, rel=0.01)
