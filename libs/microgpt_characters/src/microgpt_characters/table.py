"""Memorise a table of questions and answers, with no row held out."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import isqrt

from microgpt import ROLES, Document, Given, Tell, count, texts_of
from microgpt_characters.knowledge import SEEN, Knowledge, Question
from microgpt_characters.matching import Asking, words_of

MOST_ROWS, MOST_CHARACTERS = 2_000, 200_000  # a larger table would take too long to memorise
MOST_WORDINGS = 10  # average number of questions per answer in a table of many questions
PREVENTING = ("steps", "preset", "genome", "tokenizer", "patience", "val_fraction", "test_fraction")
THRESHOLD, LOWER = 0.8, 0.2  # minimum similarity of a match; how much lower without other wordings
MOST_WORDS = 20  # number of words of an answer that are compared with messages
BATCH, LEAST_STEPS = 16, 300
PASSES = 120  # number of times that a table without other wordings is read
WIDTHS = {20_000: 64, 80_000: 96, MOST_CHARACTERS: 128}  # n_embd by maximum number of characters
FIXED = {"n_head": 4, "n_layer": 2, "lr": 0.01, "evaluations": 1, "dropout": 0, "weight_decay": 0}


def is_table(docs: Sequence[Document], given: Given) -> bool:
    """Return whether `docs` are a table that can be memorised with the settings in `given`."""
    if len(docs) > MOST_ROWS * MOST_WORDINGS or any(given.get(name) for name in PREVENTING):
        return False
    are_pairs = all(not isinstance(doc, str) and [m.role for m in doc] == [*ROLES] for doc in docs)
    is_other = given.get("engine") == "reference" or given.get("architecture") == "portable"
    sizes = _sizes(docs) if are_pairs else {}
    is_small = 0 < len(sizes) <= MOST_ROWS and sum(sizes.values()) <= MOST_CHARACTERS
    return is_small and len(docs) <= max(MOST_ROWS, MOST_WORDINGS * len(sizes)) and not is_other


def recipe(docs: Sequence[Document]) -> dict[str, float]:
    """Return the settings for memorising a table, with a context that fits its longest row."""
    sizes = _sizes(docs).values()
    width = next(width for most, width in WIDTHS.items() if sum(sizes) <= most)
    longest = 4 * max(sizes) // 3 + 8  # a quarter of the context is for the reply
    context = max(64, 1 << (longest - 1).bit_length())
    steps = max(LEAST_STEPS, PASSES * isqrt(len(sizes) * len(docs)) // BATCH)
    chosen = {"block_size": context, "steps": steps, "warmup_steps": steps // 20}
    return {**FIXED, "batch_size": BATCH, "n_embd": width, **chosen}


def _sizes(docs: Sequence[Document]) -> dict[str, int]:
    """Return the numbers of characters of each answer and of its longest question."""
    rows = ((len(asked) + len(said) + 4, said) for asked, said in map(texts_of, docs))
    return {said: size for size, said in sorted(rows)}


def known_of_table(docs: Sequence[Document], unknown: str, tell: Tell) -> Knowledge:
    """Return the questions of a table as Knowledge, and its first answers."""
    answers: dict[str, list[str]] = {}
    alike: dict[str, dict[str, str]] = defaultdict(dict)  # answers to questions of the same words
    for asked, said in dict.fromkeys(tuple(texts_of(doc)) for doc in docs):
        answers.setdefault(asked, []).append(said)
        alike[" ".join(words_of(asked)) or asked].setdefault(said, asked)
    for asked in [min(found.values()) for found in alike.values() if len(found) > 1][:1]:
        tell(f"questions such as {asked!r:.60} have several answers; keep one of them")
    questions = count(len(answers), "question")
    tell(f'the model memorizes the table ({questions}); other questions get "{unknown}"')
    times = Counter(said[0] for said in answers.values())
    n, replies = len(times), [*times]
    if n_once := [*times.values()].count(1):
        tell(f"answers with one question: {n_once} of {n}; add wordings to recognize more messages")
    return Knowledge(
        askings=[Asking(asked, replies.index(said[0])) for asked, said in answers.items()],
        replies=[" ".join(reply.split()[:MOST_WORDS]) for reply in replies],
        follows=[None] * n, needs=[[]] * n, unknown=[unknown], is_table=True,
        threshold=THRESHOLD - LOWER * n / len(answers),
        tests=[Question(SEEN, [asked], said) for asked, said in answers.items()],
    )  # fmt: skip
