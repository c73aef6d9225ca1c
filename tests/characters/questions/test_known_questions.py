from microgpt import Message
from microgpt_characters.questions.known_questions import KnownQuestions
from microgpt_characters.questions.wordings import other_wordings, unknown_questions


def talk(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts))


OPEN = talk("When are you open?", "From 7 to 18.", "And on Sundays?", "From 8 to 12.")
CAKE = talk("Can I order a cake?", "Call us.")
KNOWN = KnownQuestions.from_conversations([OPEN, CAKE, CAKE], "I don't know.")


def test_known_conversations_include_each_beginning_once() -> None:
    assert KNOWN.conversations == (OPEN[:2], OPEN, CAKE)


def test_an_opening_question_is_recognised_after_other_turns() -> None:
    assert KNOWN.choose([*OPEN[:2], Message("user", "order cakes")]) == CAKE[:1]


def test_a_follow_up_question_requires_the_answer_before_it() -> None:
    assert KNOWN.choose(OPEN[:3]) == OPEN[:3]
    assert KNOWN.choose([*OPEN[:2], Message("user", "on sunday")]) == OPEN[:3]
    assert KNOWN.choose([OPEN[2]]) == "I don't know."


def test_an_ambiguous_text_matches_no_question() -> None:
    three, four = talk("Where is box 3?", "Here."), talk("Where is box 4?", "There.")
    known = KnownQuestions.from_conversations([three, four], "I don't know.")
    assert known.choose([Message("user", "box")]) == "I don't know."
    assert known.choose([Message("user", "box 4")]) == four[:1]
    twice = KnownQuestions.from_conversations([three, (three[0], four[1])], "I don't know.")
    assert twice.choose(three[:1]) == three[:1]  # the same text means what it says


def test_an_identical_question_matches_even_if_it_has_no_words() -> None:
    known = KnownQuestions.from_conversations([talk("???", "What?"), CAKE], "No.")
    assert known.choose(talk("???")) == talk("???")
    assert known.choose(talk("!!!")) == "No."


def test_generated_wordings_of_questions_are_reproducible() -> None:
    questions = [OPEN[0].content, CAKE[0].content]
    wordings = other_wordings(questions, 20, 1)
    assert wordings == other_wordings(questions, 20, 1) != other_wordings(questions, 20, 2)
    assert {question for _, question in wordings} == {*questions}
    assert len({text for text, _ in wordings}) > 20
    assert len(set(unknown_questions(questions, 50, 1))) > 40
