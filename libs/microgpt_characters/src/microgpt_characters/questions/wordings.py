"""Rewordings of known questions, and unknown questions, for testing a model."""

from collections.abc import Sequence

from microgpt_characters.questions.matching import FUNCTION_WORDS, words_of
from microgpt_characters.synthetic_chat.draw import PHRASES, Draw
from microgpt_characters.synthetic_chat.tasks import outside

DROPPED = 0.3  # probability that a word of a wording is left out
FOREIGN = 0.5  # fraction of the unknown questions that are known ones in other words


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
