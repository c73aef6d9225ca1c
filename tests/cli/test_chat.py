"""Tests of `microgpt chat` with a pipe instead of a terminal."""

import pytest
from commands import ok, refused

from microgpt import InferenceGpt, Message, Sampling, load
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt_cli.commands.chat_command import ChatSession
from microgpt_cli.model_loading import bundled_chats


@pytest.fixture
def bundled_reply() -> str:
    """The reply of the first bundled model to "hi"."""
    model = InferenceGpt(load(next(iter(bundled_chats().values()))))
    return model.chat([Message("user", "hi")]).content


def test_the_seed_determines_the_replies_of_chat(microgpt, chat_model) -> None:
    options = ["chat", "--model-dir", chat_model, "--temperature", "20"]
    said = "hi\noh\nyo\n"
    first, again = microgpt(*options, stdin=said), microgpt(*options, stdin=said)
    other = microgpt(*options, "--seed", "1", stdin=said)
    assert first.stdout == again.stdout != other.stdout
    assert len(first.stdout.splitlines()) == 3


def test_a_stopped_reply_stays_in_the_conversation(chat_result) -> None:
    session = ChatSession(InferenceGpt(chat_result), Sampling(), 42)
    reply = session.ask("hi")
    start = next(reply)
    reply.close()
    assert session.messages == [Message("user", "hi"), Message("assistant", start)]


@pytest.mark.compiled
def test_chat_runs_slash_commands_from_standard_input(microgpt, chat_model) -> None:
    said = "\nhi\n/clear\n/fly\n  \n/quit\nhi\n"
    done = ok(microgpt("chat", "--model-dir", chat_model, stdin=said))
    assert done.stdout == "\nyo\n(history cleared)\n\n\n"
    assert done.stderr == "error: unknown command /fly; the commands are /clear and /exit\n"


@pytest.mark.compiled
def test_chat_notes_dropped_turns_once_per_conversation(microgpt, chat_model) -> None:
    said = "hi\n" * 6 + "/clear\n" + "hi\n" * 4
    notes = microgpt("chat", "--model-dir", chat_model, stdin=said).stderr.splitlines()
    assert notes == 2 * [
        "note: the conversation exceeds the context of 32 tokens; the model ignores the oldest "
        "turns (8 tokens so far)"
    ]


@pytest.mark.compiled
def test_chat_continues_after_refusing_a_message(microgpt, chat_model) -> None:
    done = ok(microgpt("chat", "--model-dir", chat_model, stdin=f"{'o' * 21}\n日本\nhi\n"))
    assert done.stdout == "\n\nyo\n"
    assert done.stderr.splitlines()[1].startswith("error: no character of the message is in")
    assert done.stderr.startswith("error: the message has 21 characters; at most 20 fit")


def test_an_argument_too_long_for_a_file_name_is_read_as_a_message(microgpt) -> None:
    done = microgpt("chat", "--model-dir", bundled(DEMO_MODEL), "hello " * 60)
    assert "the message has 360 characters; at most 188 fit" in refused(done)


@pytest.mark.compiled
def test_a_chat_argument_is_one_nonempty_message_not_a_command(microgpt, chat_model) -> None:
    done = ok(microgpt("chat", chat_model, "hi", stdin="hi\n"))
    assert (done.stdout, done.stderr) == ("yo\n", "")
    done = microgpt("chat", chat_model, "/quit hi")
    assert done.stderr.endswith("not in the vocabulary: '/', 'q', 'u', 't', ' '\n")
    assert "message is empty" in refused(microgpt("chat", chat_model, " "))


@pytest.mark.compiled
def test_chat_notes_the_doubt_and_the_random_seed_of_a_reply(microgpt, chat_model) -> None:
    done = microgpt("chat", chat_model, "hi", "--doubt")  # a pipe gets no colors
    assert (done.stdout, done.stderr) == ("yo\n", "note: mean probability of a token: 100 %\n")
    done = ok(microgpt("chat", chat_model, "hi", "--seed=random"))
    assert done.stderr.startswith("note: --seed ")


def test_replies_contain_no_word_of_the_never_file(microgpt, chat_model, tmp_path) -> None:
    words, options = tmp_path / "never.txt", ["chat", chat_model, "hi", "--temperature", "9"]
    usual = ok(microgpt(*options)).stdout
    words.write_text(usual.upper())
    assert ok(microgpt(*options, "--never", words)).stdout not in ("\n", usual)
    words.write_text("YO\n")
    assert "each of 100 replies" in refused(microgpt(*options[:3], "--never", words))


@pytest.mark.compiled
def test_chat_uses_a_bundled_model_if_no_model_has_been_trained(microgpt, bundled_reply) -> None:
    done = ok(microgpt("chat", stdin="hi\n"))
    assert done.stdout == f"{bundled_reply}\n"
    name = next(iter(bundled_chats()))
    assert done.stderr == f"note: output not found; using the bundled model {name}\n"


def test_chat_skips_a_text_model_in_output_but_not_a_damaged_one(
    microgpt, text_model, tmp_path, bundled_reply
) -> None:
    text_model.rename(tmp_path / "output")
    done = ok(microgpt("chat", "hi"))
    assert done.stdout == f"{bundled_reply}\n"
    assert "note: output has no chat model" in done.stderr
    (tmp_path / "output/meta.json").unlink()
    assert "cannot read output/meta.json" in refused(microgpt("chat", "hi"))
