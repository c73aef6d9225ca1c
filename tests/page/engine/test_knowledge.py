"""Compare how JavaScript and Python match messages to questions of characters and tables."""

import json
from pathlib import Path

import pytest
from trainings import talks

from microgpt import Message

pytest.importorskip("microgpt_characters")

from microgpt_characters.hook import page_facts
from microgpt_characters.knowledge import Knowledge
from microgpt_characters.matching import Asking
from microgpt_characters.table import known_of_table

FAQ = Path(__file__).resolve().parents[3] / "bench/questions"
CODE = """
import { Knowledge } from "./knowledge.js";
import { Matcher } from "./matching.js";
let found = null;
function answer([facts, messages]) {
  if (facts) found = [new Knowledge(facts), new Matcher(facts)];
  return messages && [found[0].choose(messages), found[1].rank(messages.at(-1).content)];
}
"""
TEXTS = [
    "", "open", "hello", "order cakes", "CAFE", "конь может спать", "cak",
    "are you opened on sunday", "vegetarian", "7", "call 12 or 13", "opening huors", "I'm Ben",
    "my name is Étienne Ñ", "spell Straße", "𝒮 ٣ x", "x" * 3000, "Hi, I'm Ben; call me",
    "spell Straße ß-x", "call 0 or 5", "they're what's", "call 12",
    "the cow says", "the cats says", "cats say 1066", "9 less 8", "60 less 8",
    "8 less 9", "1.5 less 1", "٣ less 1", "cat less 1",
]  # fmt: skip
ASKINGS = (
    Asking("When are you open?", 0), Asking("opening hours", 0), Asking("Can I order a cake?", 1),
    Asking("Where is the café?", 2), Asking("Может ли кот спать?", 3), Asking("vegan cakes", 1),
    Asking("my name is", 4, "i am {0}"), Asking("i am", 4, "i am {0}"),
    Asking("call 0 or 0", 5, "{1} or {0}"), Asking("spell", 4, "spell {0} {1} {0}"),
    Asking("the says", 5, "the {0}", ("cat dog",)), Asking("say", 5, "{0} {1}", ("cat", "1066")),
    Asking("0 less 0", 5, "{0} - {1}", ("0..9 11..20", "0..{0}")),
)  # fmt: skip
REPLIES = ("From 7 to 18.", "Call us.", "In Königstraße.", "Да, весь день.", "Hi, !", "No.")
KNOWN = Knowledge(
    askings=(*ASKINGS, Asking("who am i", 6), Asking("why", 7), Asking("who won the world cup", 8)),
    replies=(*REPLIES, "You are .", "So.", ""),
    follows=(*[None] * 7, 6, None),
    needs=(*[()] * 6, (4,), (), ()),
    unknown=("Hm.", "No one knows.", "What?"),
    threshold=0.5,
    is_table=False,
    tests=(),
)


def check(node, known: Knowledge, texts: list[str], before: str = "ÀB") -> None:
    """Check that JavaScript gives Python's reply and ranked wordings for texts after `before`."""
    told = [{"role": "user", "content": before}, {"role": "assistant", "content": "ÀB"}]
    talks = [[*told, {"role": "user", "content": text}] for text in texts]
    facts = json.loads(json.dumps(page_facts(known.model_dump())))
    _, *results = node(CODE, [[facts, None], *([None, talk] for talk in talks)])
    for talk, (chosen, ranked) in zip(talks, results, strict=True):
        expected = known.choose([Message(**each) for each in talk])
        if not isinstance(expected, str):
            expected = [{"role": each.role, "content": each.content} for each in expected]
        text = talk[-1]["content"]
        assert chosen == expected, text
        matches = [match._asdict() for match in known.matcher.rank(text)]
        assert ranked == json.loads(json.dumps(matches)), text


@pytest.mark.parametrize("is_table", [False, True])
def test_javascript_chooses_a_reply_to_a_message_as_python_does(node, is_table) -> None:
    check(node, KNOWN.model_copy(update={"is_table": is_table}), TEXTS)


@pytest.mark.parametrize("before", ["I'm Ben", "Who am I?"])
def test_javascript_reads_the_context_of_a_message_as_python_does(node, before) -> None:
    check(node, KNOWN, ["who am i?", "why", "who won the world cup?", "I am Ann"], before)


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(FAQ.glob("*.json")), ids=lambda file: file.stem)
def test_javascript_matches_messages_to_questions_as_python_does(node, file) -> None:
    facts = json.loads(file.read_text())
    rows = [(text, each["answer"]) for each in facts["pairs"]
            for text in (each["question"], *each["added"])]  # fmt: skip
    known = known_of_table(talks(rows), "Hm.", print)
    texts = [text for each in facts["pairs"] for text in each["wordings"]]
    check(node, known, [*texts, *facts["unknown"]])
