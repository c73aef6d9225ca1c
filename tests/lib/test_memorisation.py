from hypothesis import given
from hypothesis import strategies as st

from microgpt.memorisation import Nearest, compare

WORDS = st.text("abc", min_size=1, max_size=5)


def test_what_is_known_is_counted_and_the_nearest_to_the_rest_is_named() -> None:
    found = compare(["anna", "anno", "zoe", "anno"], ["emma", "anna", "zoey"])
    assert (found.n_samples, found.n_known) == (4, 1)
    assert found.novel == (Nearest("anno", "anna", 1), Nearest("zoe", "zoey", 1))


def distance(a: str, b: str) -> int:
    """Return how many letters differ, worked out by hand (Wagner & Fischer 1974)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


@given(st.lists(WORDS, max_size=4), st.lists(WORDS, min_size=1, max_size=6))
def test_the_nearest_is_the_first_of_those_with_the_fewest_changes(samples, docs) -> None:
    found = compare(samples, docs)
    assert found.n_known == sum(sample in docs for sample in samples)
    for pair in found.novel:
        assert pair.document == min(docs, key=lambda doc: distance(pair.text, doc))
        assert pair.distance == distance(pair.text, pair.document) > 0
