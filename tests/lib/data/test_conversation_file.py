import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import Message, load_conversations
from microgpt.data.documents import load_chat_tests
from microgpt.data.split import fingerprint
from microgpt.errors import DataError


def user(content: object = "hi", **fields: object) -> dict[str, object]:
    return {"role": "user", "content": content, **fields}


def assistant(content: str = "yo", **fields: object) -> dict[str, object]:
    return {"role": "assistant", "content": content, **fields}


@pytest.fixture
def file(write):
    """A function that writes conversations, one per line, and returns the path."""
    return lambda *talks: write("".join(f"{json.dumps(talk)}\n" for talk in talks), "chat.jsonl")


def test_a_reply_with_a_task_label_becomes_a_test_item(file) -> None:
    said = [user(), assistant(), user("2 + 2"), assistant("4", task="sums")]
    exam = load_chat_tests(file([user(), assistant()], {"messages": said}))
    (item,) = exam.items
    assert (item.task, item.prompt, item.expected) == ("sums", "2 + 2", "4")
    assert (item.line, item.place) == (2, 3)
    assert item.conversation is exam.conversations[1]


def test_task_labels_do_not_change_the_loaded_conversations(file) -> None:
    with_task = load_conversations(file([user(), assistant(task="small talk")]))
    without = load_conversations(file([user(), assistant()]))
    assert with_task == without == [(Message("user", "hi"), Message("assistant", "yo"))]
    assert fingerprint(with_task) == fingerprint(without)


@pytest.mark.parametrize("task", [3, "", " ", ["sums"], False])
def test_a_task_label_that_is_not_a_name_is_refused(file, task) -> None:
    path = file([user(), assistant(task=task)])
    with pytest.raises(DataError, match=r"line 1: messages\[1\]\.task: must be a non-empty string"):
        load_chat_tests(path)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([assistant(), user()], r"messages\[0\]: a conversation must start with a user message"),
        ([user(), user(), assistant()], r"messages\[1\]: two user messages in a row; merge"),
        ([user(), assistant(), assistant()], r"messages\[2\]: two assistant messages in a row"),
        ([user(), assistant("\n\t")], r"messages\[1\]: content must not be empty"),
        ([user(), {"role": "tool", "content": "be nice"}], r"messages\[1\] must be .* 'tool'"),
    ],
)
def test_the_error_for_an_invalid_message_gives_its_line_and_index(file, messages, problem) -> None:
    path = file([user(), assistant()], messages)
    with pytest.raises(DataError, match=f"chat.jsonl, line 2: {problem}"):
        load_conversations(path)


SYSTEM = {"role": "system", "content": "Be kind."}
SHAREGPT = {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"messages": [user(id=1), assistant(task="greet")]}),
        json.dumps({"prompt": "hi", "completion": "yo"}),
        json.dumps({"question": "hi", "answer": "yo"}),
        json.dumps({"instruction": "hi", "input": "", "output": "yo"}),
        json.dumps({"instruction": "hi", "context": "", "response": "yo", "category": "qa"}),
        json.dumps({"messages": [user(role="User"), {"role": "Bot", "content": "yo"}]}),
        json.dumps([user([{"type": "text", "text": "h"}, {"text": "i"}]), assistant()]),
        json.dumps({"id": "a", **SHAREGPT}),
        f"\n\n{json.dumps([SHAREGPT], indent=2)}",
        json.dumps([{"messages": [user(), assistant()]}]),
        json.dumps({"messages": [user(), assistant()]}, indent=2),
        json.dumps([user(), assistant()], indent=2),
        json.dumps([[user(), assistant()], [user()]]),
        json.dumps([SYSTEM, user(), assistant()]),
        json.dumps([{"role": "developer", "content": "."}, user(), SYSTEM, assistant()]),
    ],
)
def test_common_conversation_formats_are_read(tmp_path, content) -> None:
    (tmp_path / "chat.json").write_text(content)
    expected = [(Message("user", "hi"), Message("assistant", "yo"))]
    assert load_conversations(tmp_path / "chat.json") == expected


def test_system_messages_are_omitted_with_a_note(file) -> None:
    path = file(
        [SYSTEM, user(), assistant()], [{**SYSTEM, "role": "developer"}, user(), assistant()]
    )
    lines: list[str] = []
    assert [*map(len, load_conversations(path, tell=lines.append))] == [2, 2]
    assert lines == ["left out 2 system messages: the model has no role for them"]


def test_the_input_field_of_an_instruction_is_appended_to_it(file) -> None:
    path = file({"instruction": "Sum up.", "input": "It rains.", "output": "Rain."})
    ((question, answer),) = load_conversations(path)
    assert (question.content, answer.content) == ("Sum up.\n\nIt rains.", "Rain.")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[\n{", r"line 1: not JSON: .*: line 2 column 2 .*; write one conversation per line"),
        (f"[]\n{json.dumps([user(), assistant()])}", r"line 1: not a conversation: \[\]; use"),
        ("[\n]", "is empty; write one conversation per line"),
        ('[\n"a"]', "item 1: not a conversation: 'a'; use prompt"),
        ('[\n[{"role": "user", "content": "\\ud800"}]]', r"content has the character '\\ud800'"),
        (
            json.dumps([SHAREGPT, {"conversations": 3}], indent=1),
            "item 2: not a conversation: .* 3}; use",
        ),
        ('{"conversations": [3]}', "line 1: not a conversation: .*3"),
        ('{"conversations": [{"from": "tool", "value": "a"}]}', r"messages\[0\] must be .* 'tool'"),
        ('{"input": "a", "output": "b"}', "line 1: not a conversation: .*'input': 'a'"),
        ("[" * 100_000, "line 1: not JSON: .*recursion"),
        ('[{"role": "user"}]', "item 1: not a conversation: {'role': 'user'}"),
        ('{"prompt": "a", "completion": 3}', r"messages\[1\] must be .*'content': 3"),
        (json.dumps([user("a\0b")]), r"line 1: messages\[0\]: content has the character '\\x00'"),
        ("\nhi\n", "chat.json has no conversations; use JSONL, one conversation per line"),
    ],
)
def test_an_invalid_or_empty_conversation_file_is_refused(tmp_path, content, problem) -> None:
    (tmp_path / "chat.json").write_text(content)
    with pytest.raises(DataError, match=problem):
        load_conversations(tmp_path / "chat.json")


@pytest.mark.parametrize(
    ("unanswered", "alone", "told"),
    [(0, 0, []), (1, 0, ["left out 1 exchange without question or answer; the first is in line 2"]),
     (2, 1, ["left out 3 exchanges without question or answer; the first is in line 2"])],
)  # fmt: skip
def test_unanswered_messages_are_skipped_with_a_note(file, unanswered, alone, told) -> None:
    whole = [user(), assistant()]
    path = file(whole, *[[*whole, user("oh")]] * unanswered, *[[user("oh")]] * alone)
    lines: list[str] = []
    read = load_conversations(path, tell=lines.append)
    assert read == [(Message("user", "hi"), Message("assistant", "yo"))] * (1 + unanswered)
    assert lines == told


def test_a_conversation_file_without_replies_is_refused(file) -> None:
    with pytest.raises(DataError, match=r"chat\.jsonl has no full exchange; add answers"):
        load_conversations(file([user()], [user("oh")]))


@given(st.text(st.characters(categories=["Cc"], exclude_characters="\0"), min_size=1))
def test_control_characters_in_messages_are_read_unchanged(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "control.jsonl"
    path.write_text(json.dumps([user(f"a{text}"), assistant(f"{text}b")]))
    said = (Message("user", f"a{text}"), Message("assistant", f"{text}b"))
    assert load_conversations(path) == [said]


def test_empty_lines_of_a_json_file_take_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("[" + "\n" * 20_000 + '{"prompt": "hi", "completion": "yo"}]')
    tracemalloc.start()
    load_chat_tests(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * file.stat().st_size  # storing line numbers would take 100 times the size


def test_conversations_in_json_are_read_from_a_file_named_csv(tmp_path) -> None:
    path = tmp_path / "chat.csv"
    path.write_text('{"prompt": "hi", "completion": "yo"}\n')
    assert load_conversations(path) == [(Message("user", "hi"), Message("assistant", "yo"))]
