import itertools
import re

import pytest

from microgpt import Place, TrainEvent
from microgpt.data.context import Message
from microgpt.data.conversation_file import Item
from microgpt.exact_match import Answer
from microgpt_cli.chat_answers import ChatAnswers
from microgpt_cli.terminal import progress_bar as progress
from microgpt_cli.terminal.console import print_or_discard, say, terminal_safe


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> None:
    """A clock that advances by one millisecond per reading, even on a busy machine."""
    ticks = itertools.count()
    monkeypatch.setattr(progress, "perf_counter", lambda: next(ticks) / 1000)


def test_progress_without_a_terminal_is_printed_ten_times(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0)
    with progress.TrainingProgress() as shown:
        for step in range(5, 1001, 5):
            seconds = step / 5000
            shown.update(TrainEvent(step, 1000, (2.5,) * 5, n_tokens=35, seconds=seconds))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    line = r"step +(\d+) / 1000 \| 0 s left \| mean loss 2\.500, last 2\.500 \| [\d,]+ tokens/s"
    tenths = [re.fullmatch(line, each).group(1) for each in lines]
    assert tenths == [str(100 * i) for i in range(1, 11)]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (
            {"place": Place("teacher 2 of 3", 100, 300)},
            r"step +150 / +500 of all models, teacher 2 of 3 \| \? left \| mean",
        ),
        ({"mark": " (contamination 5 %)"}, r"held out 2\.000 \(contamination 5 %\) \| "),
    ],
)
def test_progress_names_the_teacher_or_contamination(monkeypatch, capsys, options, shown) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0)
    with progress.TrainingProgress(**options) as bar:
        bar.update(TrainEvent(50, 100, losses=(2.5,) * 50, n_tokens=350, val_loss=2.0))
    assert re.search(shown, capsys.readouterr().err)


ODD = "a\x1b[2J\x9b\u202eb\u2066\x07"
ESCAPED = r"a\x1b[2J\x9b\u202eb\u2066\x07"
JOINED = "👩\u200d🚀 می\u200cخواهم\tb\nc"  # a zero-width joiner (emoji) and non-joiner (Persian)


def test_lines_on_stderr_are_escaped_and_shortened(capsys) -> None:
    say(f"error: {ODD}\r\nsecond\u2028third {'x' * 10_000}")
    text = capsys.readouterr().err
    assert text.startswith(f"error: {ESCAPED} second third xxx")
    assert text.removesuffix("\n").isprintable()
    assert len(text) < 5000


def test_control_characters_are_escaped_only_on_a_terminal(monkeypatch, capsys) -> None:
    assert terminal_safe(ODD) == ODD
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert terminal_safe(ODD) == ESCAPED
    assert terminal_safe(JOINED) == JOINED
    print_or_discard(f"> {ODD}")  # a search prints the lines of its log in this way
    assert capsys.readouterr().out == f"> {ESCAPED}\n"


@pytest.mark.parametrize("name", [ODD, "a\u200bb", "a\udcff"])
def test_tables_of_answers_have_only_printable_characters(name) -> None:
    item = Item(name, (Message("user", name), Message("assistant", "yo")), place=1, line=1)
    answers = ChatAnswers([Answer(item, item.expected, name)])
    assert all(line.isprintable() for line in (*answers.lines(), *answers.samples()))


def test_suggested_commands_begin_with_uv_run_only_under_uv(monkeypatch, capsys) -> None:
    line = "try: microgpt generate, or `uv run microgpt train`; this microgpt reads only 1"
    say(line)
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    say(line)
    plain, under_uv = capsys.readouterr().err.splitlines()
    assert plain == line
    assert under_uv == line.replace("try: microgpt", "try: uv run microgpt")
