import pytest

from microgpt.data.context import Message
from microgpt.data.conversation_file import Item
from microgpt.evaluation import Answer
from microgpt_cli.chat_answers import ChatAnswers
from microgpt_cli.terminal.console import print_or_discard, say, terminal_safe

ODD = "a\x1b[2J\x9b\u202eb\u2066\x07"
ESCAPED = r"a\x1b[2J\x9b\u202eb\u2066\x07"
JOINED = "👩\u200d🚀 می\u200cخواهم\tb\nc"  # emoji and Persian need characters that do not print


def test_stderr_lines_have_no_control_characters(capsys) -> None:
    say(f"error: {ODD}\r\nsecond\u2028third {'x' * 10_000}")
    text = capsys.readouterr().err
    assert text.startswith(f"error: {ESCAPED} second third xxx")
    assert text.removesuffix("\n").isprintable()
    assert len(text) < 5000


def test_samples_are_escaped_only_on_a_terminal(monkeypatch, capsys) -> None:
    assert terminal_safe(ODD) == ODD
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert terminal_safe(ODD) == ESCAPED
    assert terminal_safe(JOINED) == JOINED
    print_or_discard(f"> {ODD}")  # a line of a search, with a name
    assert capsys.readouterr().out == f"> {ESCAPED}\n"


@pytest.mark.parametrize("name", [ODD, "a\u200bb", "a\udcff"])
def test_tables_have_no_control_characters(name) -> None:
    item = Item(name, (Message("user", name), Message("assistant", "yo")), place=1, line=1)
    answers = ChatAnswers([Answer(item, item.expected, name)])
    assert all(line.isprintable() for line in (*answers.lines(), *answers.samples()))


def test_printed_commands_begin_as_the_person_typed_them(monkeypatch, capsys) -> None:
    line = "try: microgpt generate, or `uv run microgpt train`; this microgpt reads only 1"
    say(line)
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    say(line)
    plain, under_uv = capsys.readouterr().err.splitlines()
    assert plain == line
    assert under_uv == line.replace("try: microgpt", "try: uv run microgpt")
