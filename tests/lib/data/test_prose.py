"""Prose repeats its words; lists and notations do not."""

import pytest

from microgpt import load_text
from microgpt.data.documents import bundled, load_stream
from microgpt.data.prose import is_prose
from microgpt.data.tokenizer import Message

SHAKESPEARE = load_stream(bundled("shakespeare.txt"))
SUMS = [f"{a} + {b} = {a + b}" for a in range(50) for b in range(50)]
TALK = (Message("user", "how are you today?"), Message("assistant", "i am well today"))


@pytest.mark.parametrize(
    ("docs", "expected"),
    [
        ([SHAKESPEARE], True),
        ([SHAKESPEARE[:100_000]], True),
        (SHAKESPEARE.splitlines(), True),
        ([TALK] * 20, True),
        (load_text(bundled("names.txt")), False),
        (SUMS, False),
        (["[C2 E2 G2] z4 |: A3 :|"] * 1000, False),
        ([SHAKESPEARE[:2_000]], False),  # too few repetitions to learn words
        (["anna"], False),
        ([" "], False),
    ],
)
def test_prose_is_detected(docs: list, expected: bool) -> None:
    assert is_prose(docs) is expected


def test_all_parts_of_a_long_text_are_considered() -> None:
    prose, notation = "the cat and the dog " * 100_000, "1 2 3 4 " * 100_000
    assert is_prose([prose, prose, prose, notation])
    assert not is_prose([prose, notation, notation])
