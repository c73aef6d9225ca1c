from hypothesis import given
from hypothesis import strategies as st

from microgpt import load_text
from microgpt.data.documents import bundled
from microgpt.data.tokenizer import CharTokenizer
from microgpt_cli.dataset_report import describe, lengths_of

texts = st.lists(st.text("abé", min_size=1, max_size=60), min_size=1)


def lengths(docs) -> list[int]:
    return lengths_of(docs, CharTokenizer.from_documents(docs))


def test_the_statistics_of_karpathys_names_are_correct() -> None:
    names = load_text(bundled("names.txt"))
    facts = describe(names, lengths(names))
    assert (facts["n_docs"], facts["n_tokens"], facts["n_repeats"]) == (32_033, 228_146, 2_539)
    assert "".join(facts["char_counts"]) == "abcdefghijklmnopqrstuvwxyz"
    assert facts["lengths"] == {"min": 3, "median": 7, "max": 16}


@given(texts)
def test_the_counts_agree_with_a_simple_implementation(docs) -> None:
    facts = describe(docs, lengths(docs))
    assert facts["n_tokens"] == sum(len(doc) + 1 for doc in docs)
    assert facts["n_repeats"] == len(docs) - len(set(docs))
    counts = {char: "".join(docs).count(char) for char in sorted({*"".join(docs)})}
    assert facts["char_counts"] == counts
