from hypothesis import given
from hypothesis import strategies as st

from microgpt import Message, load_text
from microgpt.data.documents import bundled
from microgpt.data.tokenizer import CharTokenizer
from microgpt_cli.document_statistics import describe, lengths_of, percentile

HI = (Message("user", "hi"), Message("assistant", "yo"))

texts = st.lists(st.text("abé", min_size=1, max_size=60), min_size=1)


def lengths(docs) -> list[int]:
    return lengths_of(docs, CharTokenizer.from_documents(docs))


def test_the_statistics_of_karpathys_names_are_correct() -> None:
    names = load_text(bundled("names.txt"))
    facts = describe(names, lengths(names))
    assert (facts["n_docs"], facts["n_tokens"], facts["n_repeats"]) == (32_033, 228_146, 2_539)
    assert "".join(facts["char_counts"]) == "abcdefghijklmnopqrstuvwxyz"
    assert [facts["lengths"][name] for name in ("p0", "p50", "p99", "p100")] == [3, 7, 11, 16]


@given(texts)
def test_the_counts_agree_with_a_simple_implementation(docs) -> None:
    facts = describe(docs, lengths(docs))
    assert facts["n_tokens"] == sum(len(doc) + 1 for doc in docs)
    assert facts["n_repeats"] == len(docs) - len(set(docs))
    counts = {char: "".join(docs).count(char) for char in sorted({*"".join(docs)})}
    assert facts["char_counts"] == counts
    assert facts["rare"] == {char: n for char, n in counts.items() if n < 10}


@given(texts, st.integers(0, 100))
def test_a_percentile_covers_the_stated_share_of_documents(docs, percent) -> None:
    found = percentile(lengths(docs), percent)
    assert found in lengths(docs)
    assert 100 * sum(length <= found for length in lengths(docs)) >= percent * len(docs)
    assert 100 * sum(length < found for length in lengths(docs)) < max(1, percent * len(docs))
