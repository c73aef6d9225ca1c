"""The versions of a conversation in the playground, in Node."""

import json

import pytest

pytestmark = pytest.mark.slow

CODE = """
import { Versions } from "./versions.js";
const message = (content) => ({ role: "user", content });
function answer(steps) {
  let talk = new Versions();
  return steps.map(([name, ...args]) => {
    if (name === "add") talk.add(args[0], { ...message(args[1]), note: args[2] });
    else if (name === "reload") talk = Versions.parse(JSON.stringify(talk.start));
    else if (name === "parse") return Versions.parse(...args) === undefined;
    else if (name === "show") return talk.show(args[0]);
    else if (name === "note") return talk.note;
    else if (["of", "find"].includes(name)) return talk[name](...args);
    else talk[name](...args);
    return talk.messages.map(({ content }) => content);
  });
}
"""


def results(node, *steps):
    (found,) = node(CODE, [steps])
    return dict(zip(range(len(steps)), found, strict=True))


TALK = (["add", 0, "hi"], ["add", 1, "yo"], ["add", 2, "bye"])


def test_a_version_has_its_own_continuation(node) -> None:
    found = results(
        node, *TALK, ["add", 1, "hey"], ["of", 1], ["choose", 1, 0], ["reload"], ["choose", 1, 2],
        ["choose", 1, -1],
    )  # fmt: skip
    assert found[3] == ["hi", "hey"]
    assert found[4] == {"at": 1, "n": 2}
    assert found[5] == found[6] == found[7] == ["hi", "yo", "bye"]  # after the last, the first
    assert found[8] == ["hi", "hey"]


def test_a_malformed_conversation_is_not_restored(node) -> None:
    message = {"role": "user", "content": "hi", "next": [], "at": 0}
    malformed = (
        None, 5, "hi", [], {}, {"next": []}, {"next": [], "at": 1}, {"next": {}, "at": 0},
        *({"next": [each], "at": 0} for each in (None, "hi", message | {"at": 1})),
        *({"next": [message | change], "at": 0} for change in ({"content": 5}, {"role": "root"})),
        *({"next": [message], "at": at} for at in (1, -1, 0.5, "length")),
    )  # fmt: skip
    talks = [*malformed, {"next": [message, message], "at": 1}]
    found = results(node, *(["parse", json.dumps(each)] for each in talks))
    assert [*found.values()] == [True] * len(malformed) + [False]


def test_removing_a_version_shows_another_version(node) -> None:
    found = results(node, *TALK, ["add", 0, "oh"], ["remove", 0], ["remove", 2], ["of", 1])
    assert found[4] == ["hi", "yo", "bye"]
    assert found[5] == ["hi", "yo"]
    assert found[6] == {"at": 0, "n": 1}


def test_show_finds_a_conversation_by_its_first_messages(node) -> None:
    found = results(
        node, *TALK, ["show", ["hi"]], ["add", 0, "oh"], ["show", ["hi", "no"]],
        ["show", ["hi", "yo"]], ["choose", 0, 0],
    )  # fmt: skip
    assert (found[3], found[5], found[6]) == (True, False, True)
    assert found[7] == ["hi", "yo", "bye"]


def test_a_version_that_exists_is_found_and_keeps_its_note(node) -> None:
    found = results(
        node, ["add", 0, "hi"], ["note"], ["add", 1, "yo", "cut"], ["add", 1, "hey"], ["note"],
        ["find", 1, "yo"], ["of", 1], ["note"], ["reload"], ["note"], ["find", 1, "you"], ["of", 1],
    )  # fmt: skip
    assert [found[i] for i in (1, 4, 7, 9)] == ["", "", "cut", "cut"]
    assert [found[i] for i in (5, 10)] == [True, False]
    assert found[6] == found[11] == {"at": 0, "n": 2}
