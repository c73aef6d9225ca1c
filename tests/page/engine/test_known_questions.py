"""The question that is meant, found in JavaScript, as in Python."""

import json
from pathlib import Path

import pytest

from microgpt import Message

pytest.importorskip("microgpt_characters")

from microgpt_characters.plugin import page_facts
from microgpt_characters.questions.known_questions import KnownQuestions
from microgpt_characters.questions.matching import Matcher
from microgpt_characters.questions.wordings import other_wordings, unknown_questions

FAQ = Path(__file__).resolve().parents[3] / "bench/questions"
QUESTIONS = [
    ("When are you open?", "From 7 to 18."), ("Can I order a cake?", "Call us."),
    ("Where is the café?", "In Königstraße."), ("Может ли кот спать?", "Да, весь день."),
    ("Do you have vegan cakes?", "Call us."), ("Is the library open on Sundays?", "No."),
]  # fmt: skip
CODE = """
import { KnownQuestions } from "./known_questions.js";
import { Matcher } from "./matching.js";
let found = null;
function answer([facts, messages]) {
  if (facts) {
    const pairs = facts.conversations.map((talk) => talk.slice(-2));
    found = { known: new KnownQuestions(facts), matcher: new Matcher(pairs, facts.matching) };
  }
  if (!messages) return null;
  const talk = messages.map((content, i) => ({ role: i % 2 ? "assistant" : "user", content }));
  return [found.known.find(talk), found.matcher.rank(messages.at(-1))];
}
"""


def talk_of(*contents: str) -> tuple[Message, ...]:
    return tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(contents))


def check(node, known: KnownQuestions, asked: list[tuple[str, ...]]) -> None:
    """Compare what is found for some conversations, and how all known questions are ranked."""
    facts = json.loads(json.dumps(page_facts(known.to_json())))
    _, *results = node(CODE, [[facts, None], *([None, list(contents)] for contents in asked)])
    matcher = Matcher([(talk[-2].content, talk[-1].content) for talk in known.conversations])
    for contents, (found, ranked) in zip(asked, results, strict=True):
        expected = known.choose(talk_of(*contents))
        if not isinstance(expected, str):
            expected = [{"role": each.role, "content": each.content} for each in expected]
        assert found == expected, contents
        matches = {match.number: match for match in matcher.rank(contents[-1])}
        assert matches.keys() == {match["number"] for match in ranked}
        for match in ranked:
            wanted = matches[match["number"]]
            assert match["score"] == pytest.approx(wanted.score)
            assert match["similarity"] == pytest.approx(wanted.similarity)


@pytest.mark.parametrize("suggests", [False, True])
def test_known_questions_are_found_as_in_python(node, suggests) -> None:
    talks = [*QUESTIONS, (*QUESTIONS[0], "And on Sundays?", "From 9."), ("And on Sundays?", "No.")]
    known = KnownQuestions(tuple(talk_of(*each) for each in talks), "Hm.", suggests=suggests)
    texts = [
        "", "open", "hello", "order cakes", "where are you", "CAFE", "конь может спать", "cak",
        "And on Sundays?", "are you opened on sunday", "vegetarian", "7", "call", "opening huors",
    ]  # fmt: skip
    before = [(), QUESTIONS[0], ("x", "y")]
    check(node, known, [(*said, text) for said in before for text in texts])


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(FAQ.glob("*.json")), ids=lambda file: file.stem)
def test_javascript_matches_reworded_questions_as_python_does(node, file) -> None:
    pairs = [(each["question"], each["answer"]) for each in json.loads(file.read_text())["pairs"]]
    questions = [question for question, _ in pairs]
    wordings = [text for text, _ in other_wordings(questions, 8, seed=1)]
    known = KnownQuestions(tuple(talk_of(*pair) for pair in pairs), suggests=True)
    check(node, known, [(text,) for text in (*wordings, *unknown_questions(questions, 200, 1))])
