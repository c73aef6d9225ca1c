"""What each command does to a conversation, without a process around it."""

import json
import os

import pytest

from microgpt import InferenceGpt, Message, Sampling
from microgpt.errors import ConfigError, DataError, MicrogptError
from microgpt_cli.chat.session import ChatSession, is_command, run_command

HI, YO = Message("user", "hi"), Message("assistant", "yo")
LINE = json.dumps([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}])


@pytest.fixture
def told() -> list[str]:
    """What the session has told."""
    return []


@pytest.fixture
def session(chat_result, told, tmp_path, monkeypatch) -> ChatSession:
    """A session in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return ChatSession(InferenceGpt(chat_result), Sampling(), 42, told.append)


def say(session: ChatSession, text: str) -> str:
    return "".join(session.ask(text))


def test_a_model_of_few_questions_refuses_sampling_commands(session) -> None:
    assert run_command(session, "/temperature 2") == "(temperature 2.0)"
    session.answers_few = True
    for text in ("/temperature 2", "/temperature", "/seed 7"):
        with pytest.raises(ConfigError, match="has no effect: the model repeats answers"):
            run_command(session, text)


def test_a_multi_line_message_is_never_a_command() -> None:
    assert is_command("/clear")
    assert not is_command("hi /clear")
    assert not is_command("/clear\nhi")


def test_temperature_and_seed_can_be_shown_and_set(session, chat_result) -> None:
    assert run_command(session, "/temperature") == "(temperature 0.5)"
    assert run_command(session, "/temperature 3") == "(temperature 3.0)"
    assert run_command(session, "/seed") == "(seed 42)"
    assert run_command(session, "/seed  7") == "(seed 7)"
    expected = InferenceGpt(chat_result).chat([HI], temperature=3, seed=7)
    assert say(session, "hi") == expected.content
    seeds = {run_command(session, "/seed random") for _ in range(2)}
    assert len(seeds) == 2
    assert f"(seed {session.seed})" in seeds


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("/temperature -1", "temperature must be >= 0, got -1.0"),
        ("/temperature nan", "temperature must be >= 0, got nan"),
        ("/seed -1", "seed must be >= 0, got -1"),
        ("/seed " + "9" * 5000, "seed must be an integer or random, got '9999"),
        ("/clear all", "/clear takes no argument, got 'all'"),
        ("/save", "/save requires a file name"),
        ("/load a\0b", r"a file name cannot contain a null character, got 'a\x00b'"),
        ("/save new", "the conversation is empty; there is nothing to save"),
        ("/load new", "cannot read new: No such file or directory"),
    ],
)
def test_a_bad_chat_command_gives_an_error_and_changes_nothing(session, line, problem) -> None:
    with pytest.raises(MicrogptError) as caught:
        run_command(session, line)
    message = str(caught.value)
    assert message.startswith(problem)
    assert len(message.splitlines()) == 1
    assert len(message) < 120
    assert (session.sampling, session.seed, session.messages) == (Sampling(), 42, [])
    assert os.listdir() == []


def test_a_session_overwrites_only_files_that_it_wrote_or_read(session, tmp_path) -> None:
    (tmp_path / "mine").write_text("precious\n")
    say(session, "hi")
    with pytest.raises(ConfigError, match="mine exists and does not belong to this conversation"):
        run_command(session, "/save mine")
    assert (tmp_path / "mine").read_text() == "precious\n"
    (tmp_path / "mine").write_text(LINE)
    run_command(session, "/load mine")
    run_command(session, "/save a new one.jsonl")
    say(session, "hi")
    for name in ("mine", "a new one.jsonl", "../" + tmp_path.name + "/mine"):
        assert "4 messages written" in run_command(session, f"/save {name}")
        assert len(json.loads((tmp_path / name).read_text())) == 4
    assert sorted(os.listdir()) == ["a new one.jsonl", "mine"]


def test_load_replaces_the_chat_and_reports_unknown_characters(session, told, tmp_path) -> None:
    say(session, "hi")
    (tmp_path / "said.jsonl").write_text(LINE.replace("hi", "hé"))
    assert run_command(session, "/load said.jsonl") == "(2 messages read from said.jsonl)"
    assert session.messages == [Message("user", "hé"), YO]
    assert told == ["removed characters that are not in the vocabulary: 'é'"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"hello\n", "file has no conversations; use JSONL"),
        (f"{LINE}\n{LINE}\n".encode(), "file has 2 conversations; /load requires exactly one"),
        (b'[{"role": "user", "content": "hi"}]', "file has no assistant reply"),
        (b'[{"role": "king", "content": "hi"}]', "file, line 1: messages[0].role: "),
    ],
)
def test_load_refuses_a_foreign_file_and_keeps_the_conversation(
    session, tmp_path, content, problem
) -> None:
    say(session, "hi")
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError) as caught:
        run_command(session, "/load file")
    assert str(caught.value).startswith(problem)
    assert session.messages == [HI, YO]
    with pytest.raises(ConfigError, match="file exists"):  # it is not the session's own for that
        run_command(session, "/save file")
