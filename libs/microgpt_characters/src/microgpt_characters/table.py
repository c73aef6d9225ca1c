"""Memorise a table of questions and answers, with no row held out."""

from collections.abc import Sequence

from microgpt import ROLES, Document, Given, Tell, count, texts_of
from microgpt_characters.knowledge import SEEN, Knowledge, Question
from microgpt_characters.matching import Asking

MOST_QUESTIONS, MOST_CHARACTERS = 2_000, 200_000  # a larger table would take too long to memorise
PREVENTING = (
    "steps", "preset", "genome", "tokenizer", "patience", "val_fraction", "test_fraction",
)  # fmt: skip
THRESHOLD = 0.6  # minimum similarity of a message to a matching question
BATCH, LEAST_STEPS = 16, 300
PASSES = 120  # number of times that each row is read; for sixty rows, 90 are enough
WIDTHS = {20_000: 64, 80_000: 96, MOST_CHARACTERS: 128}  # n_embd by maximum number of characters
RECIPE = {
    "n_head": 4, "n_layer": 2, "lr": 0.01, "batch_size": BATCH, "dropout": 0.0,
    "weight_decay": 0.0, "evaluations": 1, "val_fraction": 0.0, "test_fraction": 0.0,
}  # fmt: skip


def is_table(docs: Sequence[Document], given: Given) -> bool:
    """Return whether `docs` are a table that can be memorised with the settings in `given`."""
    if any(given.get(name) for name in PREVENTING) or given.get("engine") == "reference":
        return False
    is_small = 0 < len(docs) <= MOST_QUESTIONS and given.get("architecture") != "portable"
    are_pairs = all(not isinstance(doc, str) and [m.role for m in doc] == [*ROLES] for doc in docs)
    return is_small and are_pairs and sum(map(_size, docs)) <= MOST_CHARACTERS


def recipe(docs: Sequence[Document]) -> Given:
    """Return the settings for memorising a table, with a context that fits its longest row."""
    longest = 4 * max(map(_size, docs)) // 3 + 8  # a quarter of the context is for the reply
    context = max(64, 1 << (longest - 1).bit_length())
    width = next(width for most, width in WIDTHS.items() if sum(map(_size, docs)) <= most)
    steps = max(LEAST_STEPS, PASSES * len(docs) // BATCH)
    chosen = {"block_size": context, "steps": steps, "warmup_steps": steps // 20}
    return {**RECIPE, "n_embd": width, **chosen}


def known_of_table(docs: Sequence[Document], unknown: str, tell: Tell) -> Knowledge:
    """Return the questions of a table as Knowledge, and its first answers."""
    answers: dict[str, list[str]] = {}
    for asked, said in dict.fromkeys(tuple(texts_of(doc)) for doc in docs):
        answers.setdefault(asked, []).append(said)
    for asked in [asked for asked, said in answers.items() if len(said) > 1][:1]:
        tell(f"questions such as {asked!r:.60} have several answers, and get any of them; keep one")
    questions = count(len(answers), "question")
    tell(f'the model memorizes the table ({questions}); other questions get "{unknown}"')
    replies = [*dict.fromkeys(said[0] for said in answers.values())]
    askings = [Asking(asked, replies.index(said[0])) for asked, said in answers.items()]
    tests = [Question(SEEN, [asked], said) for asked, said in answers.items()]
    return Knowledge(
        askings=askings, replies=replies, follows=[None] * len(replies), needs=[[]] * len(replies),
        unknown=[unknown], threshold=THRESHOLD, is_table=True, tests=tests,
    )  # fmt: skip


def _size(doc: Document) -> int:
    return sum(len(text) + 2 for text in texts_of(doc))
