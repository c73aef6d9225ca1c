"""Memorise a table of questions and answers, with no row held out."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from math import isqrt
from operator import itemgetter

from microgpt import ROLES, Document, Given, Tell, count, plain, texts_of
from microgpt_characters.knowledge import SEEN, Knowledge, Question
from microgpt_characters.matching import Asking

MOST_ROWS, MOST_CHARACTERS = 2_000, 200_000  # a larger table would take too long to memorise
MOST_WORDINGS = 10  # number of questions in a row; further ones count as another row
PREVENTING = ("steps", "preset", "genome", "tokenizer", "patience", "val_fraction", "test_fraction")
THRESHOLD, LOWER = 0.8, 0.2  # minimum similarity of a match; how much lower without other wordings
MOST_WORDS = 20  # number of words of an answer that are compared with messages
BATCH, LEAST_STEPS = 16, 300
PASSES = 120  # number of times that a table without other wordings is read
WIDTHS = {20_000: 64, 80_000: 96, MOST_CHARACTERS: 128}  # n_embd by maximum number of characters
FIXED = {"n_head": 4, "n_layer": 2, "lr": 0.01, "evaluations": 1, "dropout": 0, "weight_decay": 0}


def is_table(docs: Sequence[Document], given: Given) -> bool:
    """Return whether `docs` are a table that can be memorised with the settings in `given`."""
    is_other = given.get("engine") == "reference" or given.get("architecture") == "portable"
    if is_other or any(given.get(name) for name in PREVENTING):
        return False
    are_pairs = all(not isinstance(doc, str) and [m.role for m in doc] == [*ROLES] for doc in docs)
    rows = _rows(docs) if are_pairs and len(docs) <= MOST_ROWS * MOST_WORDINGS else []
    return 0 < len(rows) <= MOST_ROWS and sum(map(max, rows)) <= MOST_CHARACTERS


def recipe(docs: Sequence[Document]) -> dict[str, float]:
    """Return the settings for memorising a table, with a context that fits its longest row."""
    sizes = [*map(max, _rows(docs))]
    width = next(width for most, width in WIDTHS.items() if sum(sizes) <= most)
    longest = 4 * max(sizes) // 3 + 8  # a quarter of the context is for the reply
    context = max(64, 1 << (longest - 1).bit_length())
    steps = max(LEAST_STEPS, PASSES * isqrt(len(sizes) * len(docs)) // BATCH)
    chosen = {"block_size": context, "steps": steps, "warmup_steps": steps // 20}
    return {**FIXED, "batch_size": BATCH, "n_embd": width, **chosen}


def _rows(docs: Sequence[Document]) -> list[list[int]]:
    """Return the lengths of each row's questions with the answer, in characters, plus 4 for roles.

    A row contains a question and other wordings of it: successive questions with one answer.
    """
    rows = list[list[int]]()
    for said, same in groupby(map(list, map(texts_of, docs)), itemgetter(1)):
        sizes = [len(asked) + len(said) + 4 for asked, _ in same]
        rows += (sizes[i : i + MOST_WORDINGS] for i in range(0, len(sizes), MOST_WORDINGS))
    return rows


def known_of_table(docs: Sequence[Document], unknown: str, tell: Tell) -> Knowledge:
    """Return the questions of a table as Knowledge, and its first answers."""
    answers: dict[str, list[str]] = {}
    alike: dict[str, dict[str, str]] = defaultdict(dict)  # questions by answer, by plain text
    for asked, said in dict.fromkeys(tuple(texts_of(doc)) for doc in docs):
        answers.setdefault(asked, []).append(said)
        alike[plain(asked).rstrip(" ?.!")].setdefault(said, asked)
    for asked in [min(found.values()) for found in alike.values() if len(found) > 1][:1]:
        tell(f"questions such as {asked!r:.60} have several answers; keep one of them")
    questions = count(len(answers), "question")
    tell(f'the model memorizes the table ({questions}); other questions get "{unknown}"')
    rows = _rows([doc for doc in docs if [*texts_of(doc)][1] != unknown])
    if n_once := sum(len(row) == 1 for row in rows):
        tell(f"{n_once} of {len(rows)} rows have no wordings: add some to recognize more messages")
    replies = [*dict.fromkeys(said[0] for said in answers.values())]
    n = len(replies)
    return Knowledge(
        askings=[Asking(asked, replies.index(said[0])) for asked, said in answers.items()],
        replies=[" ".join(reply.split()[:MOST_WORDS]) for reply in replies],
        follows=[None] * n, needs=[[]] * n, unknown=[unknown], is_table=True,
        threshold=THRESHOLD - LOWER * len(rows) / max(sum(map(len, rows)), 1),
        tests=[Question(SEEN, [asked], said) for asked, said in answers.items()],
    )  # fmt: skip
