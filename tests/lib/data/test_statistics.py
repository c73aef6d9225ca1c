import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import Message
from microgpt.data.bpe import BpeTokenizer
from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.data.statistics import MAX_SAMPLED, measure
from microgpt.data.tokenizer import CharTokenizer

HI = (Message("user", "hi"), Message("assistant", "yo"))

texts = st.lists(st.text("abé", min_size=1, max_size=60), min_size=1)


@given(st.lists(st.text("ab", min_size=1, max_size=30), min_size=1, max_size=20))
def test_measured_sizes_of_character_models_are_exact(docs: list[str]) -> None:
    tokenizer = CharTokenizer.from_documents(docs)
    sizes = measure(docs, tokenizer, "lines")
    chunks = ChunkedDataset(docs, tokenizer, 64, "lines")
    assert sizes.n_tokens == pytest.approx(chunks.n_tokens)
    assert sizes.chunk_length(64) == pytest.approx(chunks.n_tokens / len(chunks))
    assert sizes.n_characters == sum(map(len, docs))
    assert sizes.quantile(1.0) == max(map(len, docs)) + 1


def test_the_lengths_of_running_text_exclude_end_tokens() -> None:
    tokenizer = CharTokenizer.from_documents(["abc"])
    assert measure(["abc", "ab"], tokenizer, "stream").lengths == [2, 3]


def test_the_lengths_of_conversations_include_special_tokens() -> None:
    talk = (Message("user", "a" * 10), Message("assistant", "b" * 10))
    tokenizer = CharTokenizer.from_documents([talk])
    assert measure([talk], tokenizer, "lines").lengths == [tokenizer.count_tokens(talk) - 1]


def test_measure_samples_the_lengths_of_many_documents() -> None:
    docs = ["ab", "abcd"] * 2 * MAX_SAMPLED
    sizes = measure(docs, CharTokenizer.from_documents(docs), "lines")
    assert len(sizes.lengths) <= MAX_SAMPLED + 1
    assert sizes.n_docs == len(docs)


def test_the_number_of_subwords_is_estimated_within_1_percent() -> None:
    docs = ["the cat and the dog " * 1000] * 3
    tokenizer = BpeTokenizer.from_documents(docs, 300)
    exact = sum(map(tokenizer.count, docs))
    assert measure(docs, tokenizer, "stream").n_tokens == pytest.approx(exact, rel=0.01)
