"""Rewordings of known questions, and unknown questions, for testing a model."""

from collections.abc import Sequence

from microgpt import Item, Message, ReplyTest
from microgpt_characters.questions.known_questions import KnownQuestions
from microgpt_characters.questions.matching import FUNCTION_WORDS, words_of
from microgpt_characters.synthetic_chat.draw import PHRASES, Draw
from microgpt_characters.synthetic_chat.tasks import outside

DROPPED = 0.3  # probability that a word of a wording is left out
FOREIGN = 0.5  # fraction of the unknown questions that are known ones in other words
N_WORDINGS, N_UNKNOWN, SEED = 4, 200, 1  # of a test: wordings of each question, unknown questions


def reply_tests(known: KnownQuestions) -> list[ReplyTest]:
    """Return the known questions, rewordings of them, and unknown questions."""
    talks = [(line, talk) for line, talk in enumerate(known.conversations, start=1)]
    items = [Item("", talk, len(talk) - 1, line) for line, talk in talks]
    first = {talk[0].content: talk[1].content for _, talk in talks if len(talk) == 2}
    reworded = other_wordings([*first], N_WORDINGS, SEED)
    unknown = unknown_questions([*first], N_UNKNOWN, SEED)
    return [
        ReplyTest("known", "known questions right", items),
        ReplyTest(
            "other_wordings",
            "other wordings right",
            [_item(text, first[question]) for text, question in reworded],
        ),
        ReplyTest(
            "refused", "unknown questions refused", [_item(text, known.reply) for text in unknown]
        ),
    ]


def _item(question: str, expected: str) -> Item:
    return Item("", (Message("user", question), Message("assistant", expected)), 1, 1)


def other_wordings(questions: Sequence[str], n: int, seed: int) -> list[tuple[str, str]]:
    """Return n rewordings of each question, each with the original question.

    Words are omitted, reordered or misspelled, and phrases such as greetings are added.
    """
    draw = Draw("train", seed)
    return [(_reworded(question, draw), question) for question in questions for _ in range(n)]


def unknown_questions(questions: Sequence[str], n: int, seed: int) -> list[str]:
    """Return n questions about other topics, half of which resemble known questions."""
    draw = Draw("train", seed)
    return [
        _exchanged(draw.pick(questions), draw) if draw.chance(FOREIGN) else outside(draw).prompt
        for _ in range(n)
    ]


def _reworded(question: str, draw: Draw) -> str:
    words = words_of(question)
    kept = [word for word in words if not draw.chance(DROPPED)]
    if not any(word not in FUNCTION_WORDS for word in kept):
        kept = words
    if draw.chance(0.5):
        kept = sorted(kept, key=lambda _: draw.pick(range(1000)))
    return draw.dress(draw.mistype(" ".join(kept)))


def _exchanged(question: str, draw: Draw) -> str:
    """Return a question whose content words are replaced by common words."""
    common = PHRASES["words"]["common"].split()
    words = (word if word in FUNCTION_WORDS else draw.pick(common) for word in words_of(question))
    return draw.dress(" ".join(words))
