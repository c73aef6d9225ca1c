import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import BpeTokenizer
from microgpt.evaluation.memorisation import KnownTexts, Nearest, compare

WORDS = st.text("abc", min_size=1, max_size=5)


def test_novel_samples_are_listed_with_their_nearest_document() -> None:
    known = KnownTexts(["emma", "anna", "zoey"], room=16)
    found = compare(["anna", "anno", "zoe", "anno"], known)
    assert (found.n_samples, found.n_known) == (4, 1)
    assert found.novel == (Nearest("anno", "anna", 1), Nearest("zoe", "zoey", 1))


@pytest.mark.parametrize("vocab_size", [257, 259, 300])
@pytest.mark.parametrize("text", ["anna and emma went away", "漢字 漢字 漢字 漢字"])
def test_a_truncated_known_text_is_recognised_in_any_tokens(text, vocab_size) -> None:
    """A model may write a text in smaller pieces than it has read it in; then it gets less far."""
    tokenizer = BpeTokenizer.from_documents([text], vocab_size=vocab_size)
    pieces = BpeTokenizer.from_documents([text], vocab_size=257)
    known = KnownTexts([text, "mia"], room=8)
    for tokens in (tokenizer.encode(text), pieces.encode(text)):
        assert tokenizer.decode(tokens[:8]) in known
    assert "mia" in known
    assert not [other for other in ("", "mi", "anna", "漢", "mia mia mia") if other in known]


def test_known_texts_include_any_part_of_running_text() -> None:
    known = KnownTexts(["anna\nund 漢字"], room=8, text="stream")
    parts = ["nna\nu", "anna\nund 漢字", "und 漢\ufffd", "\ufffd字", "anno", "u\ufffdnd", "\ufffd"]
    assert [part in known for part in parts] == [True] * 4 + [False] * 3
    assert compare(parts, known).n_known == 4


def distance(a: str, b: str) -> int:
    """Return how many letters differ, worked out by hand (Wagner & Fischer 1974)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


@given(st.lists(WORDS, max_size=4), st.lists(WORDS, min_size=1, max_size=6))
def test_the_nearest_document_needs_the_fewest_changes(samples, docs) -> None:
    found = compare(samples, KnownTexts(docs, room=6))
    assert found.n_known == sum(sample in docs for sample in samples)
    for pair in found.novel:
        assert pair.document == min(docs, key=lambda doc: distance(pair.text, doc))
        assert pair.distance == distance(pair.text, pair.document) > 0
