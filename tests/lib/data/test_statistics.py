import random
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import load_text
from microgpt.data.bpe import BpeTokenizer
from microgpt.data.context import ChunkedDataset
from microgpt.data.documents import bundled
from microgpt.data.statistics import is_prose, is_running_text, measure
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import CharTokenizer, Message


@given(st.lists(st.text("ab", min_size=1, max_size=30), min_size=1, max_size=20))
def test_the_sizes_measured_for_character_tokens_are_exact(docs: list[str]) -> None:
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


SHAKESPEARE = "\n".join(TextFile(bundled("shakespeare.txt")))
SUMS = [f"{a} + {b} = {a + b}" for a in range(50) for b in range(50)]
TALK = (Message("user", "how are you today?"), Message("assistant", "i am well today"))

WORDS = ["the", "sea", "was", "calm", "and", "nobody", "on", "board", "had", "slept", "since", "or"]
RNG = random.Random(1)


def sentences(n: int) -> str:
    words = [" ".join(RNG.choices(WORDS, k=RNG.randint(5, 20))) for _ in range(n)]
    return " ".join(f"{sentence.capitalize()}." for sentence in words)


PARAGRAPHS = [sentences(RNG.randint(1, 9)) for _ in range(40)]
WRAPPED = [textwrap.fill(paragraph, 70) for paragraph in PARAGRAPHS]
VERSES = [" ".join(RNG.choices(WORDS, k=7)) for _ in range(60)]
TOWNS = ["Grünerstadt", "Bad Neustadt an der Saale", "Paris, France", "Rio de Janeiro"] * 20
CODE = 'def load(path):\n    """Read."""\n    x = 1\n\n    return x\n\n\nif x:\n    load(1)\n'

RUNNING = {
    "wrapped prose": "\n\n".join(WRAPPED),
    "play": "\n\n".join(f"First Citizen:\n{verse}\n{verse}" for verse in VERSES),
    "stanzas": "\n\n".join("\n".join(VERSES[i : i + 4]) for i in range(0, 60, 4)),
    "source code": CODE * 5,
}
LINES = {
    "a paragraph per line with blank lines between": "\n\n".join(PARAGRAPHS),
    "verses with a stray blank line": "\n".join([*VERSES[:20], "", "", "", *VERSES[20:40]]),
    "towns in groups": "\n\n".join("\n".join(TOWNS[i : i + 20]) for i in range(0, 80, 20)),
    "a story per line": "\n".join(PARAGRAPHS),
    "an empty line at the end": "\n".join(VERSES) + "\n\n\n",
}


@pytest.mark.parametrize("kind", RUNNING)
def test_prose_plays_stanzas_and_code_are_running_text(kind: str) -> None:
    assert is_running_text(RUNNING[kind].split("\n"))


@pytest.mark.parametrize("kind", LINES)
def test_separate_lines_are_not_taken_for_running_text(kind: str) -> None:
    assert not is_running_text(LINES[kind].split("\n"))


@pytest.mark.parametrize(
    ("docs", "expected"),
    [
        ([SHAKESPEARE], True),
        (SHAKESPEARE.splitlines(), True),
        ([TALK] * 20, True),
        (load_text(bundled("names.txt")), False),
        (SUMS, False),
        (["[C2 E2 G2] z4 |: A3 :|"] * 1000, False),
        ([SHAKESPEARE[:2_000]], False),  # too few repetitions to learn words
        (["anna"], False),
    ],
)
def test_prose_is_told_from_names_sums_notation_and_short_text(docs: list, expected: bool) -> None:
    assert is_prose(docs) is expected


def test_prose_detection_considers_all_documents() -> None:
    prose, notation = "the cat and the dog " * 100_000, "1 2 3 4 " * 100_000
    assert is_prose([prose, prose, prose, notation])
    assert not is_prose([prose, notation, notation])
