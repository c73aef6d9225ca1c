import pytest

from microgpt import Message
from microgpt.training.examples import examples
from microgpt.training.options import TrainOptions

DOCS = [
    (Message("user", text), Message("assistant", "yes"))
    for text in ("hi", "x" * 61, "is it open?", "hi", "how much?", "where?", "when?")
]


def test_the_first_short_messages_are_the_examples() -> None:
    docs = [(Message("assistant", "hello"),), "a text", *DOCS]
    assert examples(docs, TrainOptions()) == ("hi", "is it open?", "how much?", "where?")


@pytest.mark.parametrize("given", [["what is 1 + 1?", "x" * 61], [""]])
def test_examples_that_are_set_replace_those_of_the_data(given) -> None:
    found = examples(DOCS, TrainOptions(example=given, me="Anna"))
    assert found == tuple(text for text in given if text)


def test_messages_of_a_chat_of_people_are_no_examples() -> None:
    assert examples(DOCS, TrainOptions(me="Anna")) == ()
