import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import Message, load_text
from microgpt.data.bpe import BpeTokenizer
from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.data.documents import bundled
from microgpt.data.statistics import MAX_SAMPLED, count_with_others, describe, measure
from microgpt.data.tokenizer import CharTokenizer
from microgpt.errors import DataError

HI = (Message("user", "hi"), Message("assistant", "yo"))

texts = st.lists(st.text("abé", min_size=1, max_size=60), min_size=1)


def test_the_statistics_of_karpathys_names_are_correct() -> None:
    report = describe(load_text(bundled("names.txt")))
    assert (report.n_docs, report.n_tokens, report.n_repeats) == (32_033, 228_146, 2_539)
    assert "".join(report.char_counts) == "abcdefghijklmnopqrstuvwxyz"
    assert [report.percentile(percent) for percent in (0, 50, 99, 100)] == [3, 7, 11, 16]


def test_conversations_with_equal_content_count_as_repeats() -> None:
    report = describe([HI, list(HI), (Message("user", "yo"), Message("assistant", "hi"))])
    assert report.most_frequent == [(HI, 2)]
    assert report.n_repeats == 1


def test_the_length_of_a_conversation_includes_role_tokens() -> None:
    report = describe([HI])
    assert report.n_tokens == 2 + 2 + 2 + 2 + 1  # two texts, two tokens around each, the end
    assert report.tokenizer.is_chat
    assert report.char_counts == {"h": 1, "i": 1, "o": 1, "y": 1}


def test_an_empty_file_cannot_be_described() -> None:
    with pytest.raises(DataError, match="there are no documents to describe"):
        describe([])


@given(texts)
def test_the_counts_agree_with_a_simple_implementation(docs) -> None:
    report = describe(docs)
    assert report.n_tokens == sum(len(doc) + 1 for doc in docs)
    assert report.n_repeats == len(docs) - len(set(docs))
    assert report.char_counts == {
        char: "".join(docs).count(char) for char in sorted({*"".join(docs)})
    }
    assert report.tokenizer.chars == tuple(report.char_counts)


@given(texts, st.integers(0, 100))
def test_a_percentile_covers_the_stated_share_of_documents(docs, percent) -> None:
    lengths = sorted(len(doc) + 1 for doc in docs)
    found = describe(docs).percentile(percent)
    assert found in lengths
    assert 100 * sum(length <= found for length in lengths) >= percent * len(docs)
    assert 100 * sum(length < found for length in lengths) < max(1, percent * len(docs))


def test_documents_with_unknown_characters_are_counted() -> None:
    assert count_with_others(["anna", "émile", "zoë", "emma"], "aeimlnoz") == 2
    assert count_with_others([HI], "hiyo") == 0
    assert count_with_others([HI], "hiy") == 1


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
