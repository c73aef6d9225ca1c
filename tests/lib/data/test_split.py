import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import Message
from microgpt.data.split import DataFacts, fingerprint, split, split_stream
from microgpt.errors import ConfigError, DataError


def test_the_fingerprint_of_a_conversation_hashes_its_compact_json() -> None:
    content = '[["user","h\u00ef"],["assistant","yo"]]\n'
    conversation = (Message("user", "hï"), Message("assistant", "yo"))
    assert fingerprint([conversation]) == hashlib.sha256(content.encode()).hexdigest()


@given(st.lists(st.text(st.characters(exclude_characters="\n")), min_size=1))
def test_the_fingerprint_of_texts_hashes_one_line_per_text(docs: list[str]) -> None:
    content = "".join(doc + "\n" for doc in docs).encode(errors="surrogatepass")
    assert fingerprint(docs) == hashlib.sha256(content).hexdigest()
    assert fingerprint([*docs, ""]) != fingerprint(docs)


def test_only_a_single_multi_line_document_is_hashed_like_lines() -> None:
    assert fingerprint(["a\nb", "c"]) != fingerprint(["a", "b\nc"])
    assert fingerprint(["a\nb"]) == fingerprint(["a", "b"])  # equal, as in earlier versions


@given(st.lists(st.text(max_size=2)), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_distinct_documents_are_split_by_their_hash(texts, validation, test) -> None:
    docs = [*map(str, range(200)), *texts]
    expected: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for doc in dict.fromkeys(docs):
        place = int(hashlib.sha256(doc.encode()).hexdigest()[:8], 16) / 2**32
        part = "test" if place < test else "validation" if place >= 1 - validation else "train"
        expected[part].append(doc)
    parts = split(docs, validation=validation, test=test)
    assert {name: list(getattr(parts, name)) for name in expected} == expected
    assert parts.facts == DataFacts(len(docs), fingerprint(docs), validation, test)


SHARES = st.one_of(st.just(0.0), st.floats(0.01, 0.45))
FIRST = 0x10000  # first code point of a text of consecutive, and so distinct, characters


def positions(stretch: str) -> range:
    first = ord(stretch[0]) - FIRST
    assert stretch == "".join(map(chr, range(FIRST + first, FIRST + first + len(stretch))))
    return range(first, first + len(stretch))


@given(st.integers(1, 60_000), SHARES, SHARES, st.integers(0, 1_500))
def test_held_out_stretches_have_the_requested_gap_and_size(length, validation, test, gap) -> None:
    text = "".join(map(chr, range(FIRST, FIRST + length)))
    shares = [share for share in (validation, test) if share]
    n_free = length * (1 - sum(shares)) / max(1, len(shares))
    try:
        parts = split_stream(text, validation=validation, test=test, gap=gap)
    except DataError:  # a held-out stretch, or the text between two, would be empty
        assert n_free <= 2 * gap + 2 or length * min(shares) < 1
        return
    assert parts == split_stream(text, validation=validation, test=test, gap=gap)
    sets = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    found = [(positions(str(each)), name) for name, docs in sets.items() for each in docs]
    found.sort(key=lambda each: each[0].start)
    for (before, name), (after, other) in pairwise(found):
        assert after.start - before.stop >= gap
        assert "train" not in (name, other) or after.start - before.stop == gap
    for docs, share in ((parts.validation, validation), (parts.test, test)):
        assert abs(sum(map(len, docs)) - share * length) <= len(docs) <= 10  # sizes are rounded
    n_gaps = 2 * (len(parts.validation) + len(parts.test))
    assert sum(len(where) for where, _ in found) >= length - n_gaps * gap
    facts = (validation, test, gap if shares else None)
    assert parts.facts == DataFacts(1, fingerprint([text]), *facts)


def test_up_to_ten_stretches_are_held_out_if_gaps_leave_room() -> None:
    parts = split_stream("x" * 1_000_000, validation=0.1, test=0.05, gap=128)
    assert list(map(len, (parts.train, parts.validation, parts.test))) == [21, 10, 10]
    assert {len(each) for each in (*parts.validation, *parts.test)} == {10_000, 5_000}
    assert sum(map(len, parts.train)) == 850_000 - 2 * 20 * 128
    assert len(split_stream("x" * 50_000, validation=0.1, test=0.1, gap=128).test) == 2
    assert len(split_stream("x" * 50_000, validation=0.1, test=0.1, gap=1_000).test) == 1


@pytest.mark.parametrize(
    ("divide", "docs", "shares", "problem"),
    [
        (split, ["a", "b"], {"test": -0.1}, r"the test fraction must be in \[0, 1\), got -0.1"),
        (split, ["a", "b"], {"validation": 1.0}, "the validation fraction must be in"),
        (split, ["a", "b"], {"validation": 0.5, "test": 0.5}, "must be less than 1"),
        (split, ["a"], {"test": 0.1}, r"as there are too few documents \(1\); add"),
        (split, ["a"] * 500, {"test": 0.1}, "too few distinct documents"),
        (split_stream, "x" * 300, {"validation": 0.1}, r"is empty, .* \(300\); add text"),
        (split_stream, "x" * 300, {"validation": 0.1, "gap": -1}, "gap must be >= 0, got -1"),
    ],
)
def test_invalid_fractions_gaps_and_empty_sets_are_refused(divide, docs, shares, problem) -> None:
    with pytest.raises((ConfigError, DataError), match=problem):
        divide(docs, **shares)


def test_a_value_cached_in_a_split_is_computed_only_once() -> None:
    parts, made = split(["a", "b"]), list[int]()
    for n in (1, 2):
        parts.once("key", lambda n=n: made.append(n))
    assert made == [1]
