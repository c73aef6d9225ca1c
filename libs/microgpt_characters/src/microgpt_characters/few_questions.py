"""Train on a few questions and answers until all are memorised, without dropout.

Nothing is held out, because the answer to a question occurs nowhere else. For other wordings,
`questions` finds the matching known question.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from string import ascii_letters, digits, punctuation

from microgpt import (
    ROLES,
    ConfigError,
    Document,
    Given,
    Message,
    Preparation,
    char_tokenizer,
    count,
    flag,
    texts_of,
)
from microgpt_characters.questions.known_questions import (
    DEFAULT_REPLY,
    KnownQuestions,
    check_reply,
)

MOST_QUESTIONS = 200  # more are learned as other conversations are
MOST_CHARACTERS = 40_000  # of all conversations together
PREVENTING = (
    "steps", "preset", "genome", "tokenizer", "patience", "val_fraction", "test_fraction",
)  # fmt: skip
BATCH, LEAST_STEPS = 16, 300
PASSES = 120  # number of times that each conversation is read; 90 are enough for sixty questions
RECIPE = {
    "n_embd": 64, "n_head": 4, "n_layer": 2, "lr": 0.01, "batch_size": BATCH, "dropout": 0.0,
    "weight_decay": 0.0, "evaluations": 1, "val_fraction": 0.0, "test_fraction": 0.0,
}  # fmt: skip


def are_few(docs: Sequence[Document], given: Given) -> bool:
    """Return whether the documents are a few questions, and the settings allow memorising them."""
    if not docs or not all(map(_is_questions, docs)):
        return False
    if _preventing(given) or given.get("engine") == "reference":
        return False
    n_questions = sum(len(doc) for doc in docs) / 2
    n_characters = sum(map(len, chain.from_iterable(map(texts_of, docs))))
    return n_questions <= MOST_QUESTIONS and n_characters <= MOST_CHARACTERS


def _preventing(given: Given) -> list[str]:
    """Return the names of the given settings that prevent memorising."""
    found = [name for name in PREVENTING if given.get(name)]
    return found + ["architecture"] * (given.get("architecture") == "portable")  # for export


def _is_questions(doc: Document) -> bool:
    """Return whether a document is a conversation of questions, each with its answer."""
    if isinstance(doc, str):
        return False
    return tuple(message.role for message in doc) == ROLES * max(1, len(doc) // 2)


def prepare(
    docs: Sequence[Document], given: Given, tell: Callable[[str], None]
) -> Preparation | None:
    """Return what training needs if the documents are a few questions."""
    if not are_few(docs, given):
        _tell_other_settings(docs, given, tell)
        if "unknown" in given:
            what = f"for at most {MOST_QUESTIONS} questions, which are learned as a whole"
            raise ConfigError(f"--unknown is {what}; omit --unknown")
        return None
    unknown: str = given.get("unknown", DEFAULT_REPLY)
    check_reply(unknown)
    known = known_questions(docs, unknown, tell)
    characters = f"{unknown} {ascii_letters}{digits}{punctuation}"  # also for other wordings
    tokenizer = char_tokenizer([*docs, (Message("user", characters),)])
    return Preparation({**recipe(docs), **given}, tokenizer, known.to_json())


def recipe(docs: Sequence[Document]) -> Given:
    """Return the settings for few conversations, with a context for the longest one."""
    longest = max(sum(len(text) + 2 for text in texts_of(doc)) for doc in docs)
    context = 64
    while context < 4 * longest // 3 + 8:  # a quarter is reserved for the reply
        context *= 2
    steps = max(LEAST_STEPS, PASSES * len(docs) // BATCH)
    found = {"block_size": context, "most_steps": steps, "warmup_steps": steps // 20}
    return {**RECIPE, **found}


def known_questions(
    docs: Sequence[Document], reply: str, tell: Callable[[str], None]
) -> KnownQuestions:
    """Return the known questions, and the reply to other questions."""
    talks = [tuple(doc) for doc in docs if not isinstance(doc, str)]
    answers: dict[Document, set[Document]] = {}
    for talk in talks:
        for i in range(1, len(talk), 2):
            answers.setdefault(talk[:i], set()).add(talk[i : i + 1])
    if n := sum(len(each) > 1 for each in answers.values()):
        tell(f"{count(n, 'question')} {'has' if n == 1 else 'have'} several answers; keep one")
    tell(
        f"so few conversations ({len(docs)}) are learned as a whole; rewordings are found by "
        f'their words, other questions get "{reply}"'
    )
    return KnownQuestions.from_conversations(talks, reply)


def _tell_other_settings(
    docs: Sequence[Document], given: Given, tell: Callable[[str], None]
) -> None:
    """Report the settings that prevent memorising a few questions."""
    preventing = _preventing(given)
    recipes = [name for name in preventing if name in ("preset", "genome")]
    preventing = recipes or preventing  # they give the others
    if preventing and are_few(docs, {"engine": given.get("engine")}):
        flags = " and ".join(map(flag, preventing))
        tell(
            f"so few conversations can be learned as a whole, and other questions refused; omit "
            f"{flags} for that"
        )
