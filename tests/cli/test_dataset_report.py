from microgpt import load_text
from microgpt.data.documents import bundled
from microgpt.data.tokenizer import CharTokenizer
from microgpt_cli.dataset_report import describe


def test_the_statistics_of_karpathys_names_are_correct() -> None:
    names = load_text(bundled("names.txt"))
    facts = describe(names, CharTokenizer.from_documents(names), 16)
    assert (facts["n_docs"], facts["n_tokens"], facts["n_repeats"]) == (32_033, 228_146, 2_539)
    assert "".join(facts["char_counts"]) == "abcdefghijklmnopqrstuvwxyz"
    assert facts["lengths"] == {"min": 3, "median": 7, "max": 16}
