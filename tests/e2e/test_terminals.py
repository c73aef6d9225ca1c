"""Tests of chat and other commands on a pseudo-terminal, with key presses."""

import re
import signal
import termios
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest
from terminal import Terminal

from microgpt import save
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.model import weight_shapes

ESCAPES = r"(?:\x1b\[[\d;?]*[A-Za-z])*"  # colors and cursor movements
REPLY = rf"microgpt> {ESCAPES}yo\r\n"
YOU, ARROW_UP, CTRL_D = "you> ", "\x1b[A", "\x04"
pytestmark = pytest.mark.compiled


@pytest.fixture(scope="module")
def endless_model(chat_result, tmp_path_factory) -> Path:
    """The directory of a chat model whose replies take many seconds."""
    model = replace(chat_result.model, n_embd=8, n_head=1, n_layer=16, block_size=50_000)
    weights = {
        name: [[0.0] * columns for _ in range(rows)]
        for name, (rows, columns) in weight_shapes(model).items()
    }
    weights["wte"] = [[1.0] * 8 for _ in weights["wte"]]
    weights["lm_head"][chat_result.tokenizer.end_turn_id] = [-1000.0] * 8
    path = tmp_path_factory.mktemp("models") / "endless"
    result = replace(chat_result, model=model, weights=weights)
    save(result, path, weights_format="safetensors")
    return path


@pytest.fixture
def talk_to(terminal):
    """A function that starts a chat on a pseudo-terminal, and waits for the first prompt."""

    def start(model_dir, *args) -> Terminal:
        child = terminal("chat", "--model-dir", model_dir, *args)
        child.expect_exact(YOU)
        return child

    return start


def say(child: Terminal, text: str, answer: str = REPLY) -> None:
    """Send a line to a chat, and wait for the answer and the next prompt."""
    child.send(f"{text}\r")
    child.expect(answer)
    child.expect_exact(YOU)


def interrupt(child: Terminal, number: int, answer: str) -> None:
    """Repeat a signal until the answer appears: readline can miss a signal that comes too early."""
    for _ in range(20):
        child.process.send_signal(number)
        if child.expect([answer, pexpect.TIMEOUT], timeout=3) == 0:
            return
    pytest.fail(f"no {answer!r}")


@pytest.fixture
def talk(talk_to, chat_model):
    """A chat on a pseudo-terminal with a model that always replies "yo"."""
    return talk_to(chat_model)


@pytest.fixture
def replying(talk_to, endless_model):
    """A chat on a pseudo-terminal, in the middle of a long reply."""
    child = talk_to(endless_model, "--temperature", "2")
    child.send("hi\r")
    child.expect(rf"microgpt> {ESCAPES}\w{{20}}")  # the reply has begun
    return child


def test_a_chat_shows_a_banner_and_takes_commands_and_arrow_up(talk_to, chat_model) -> None:
    child = talk_to(chat_model)
    banner = "Type exit or Ctrl-D to quit, /clear to forget.\r\n\r\n"
    assert re.match(
        rf"microgpt chat: [\d,]+ weights, a context of 32 characters\r\n{re.escape(banner)}",
        child.before,
    )
    say(child, "hi")
    say(child, ARROW_UP)  # repeats the previous message
    say(child, "/fly", "error: unknown command /fly; the commands are /clear and /exit\r\n")
    say(child, "/clear", r"\(history cleared\)\r\n")
    child.send("Bye\r")
    assert child.exit_code() == 0


def test_the_demo_model_answers_the_messages_that_it_suggests(talk_to) -> None:
    child = talk_to(bundled(DEMO_MODEL))
    examples = re.search(r"Try: (.*)\r\n", child.before)
    assert examples
    for message in examples.group(1).split("   "):
        child.send(f"{message}\r")
        child.expect(rf"microgpt> {ESCAPES}(.*)\r\n")
        assert "i do sums" not in child.match.group(1)
        child.expect_exact(YOU)


def test_a_character_greets_the_user_before_the_first_prompt(talk_to) -> None:
    pytest.importorskip("microgpt_characters")
    child = talk_to(bundled("models/skerry"))
    assert re.search(rf"Skerry> {ESCAPES}Good evening\. I am Skerry, a lighthouse", child.before)


def test_ctrl_c_clears_the_line_without_ending_the_chat(talk) -> None:
    talk.send("ho")
    talk.expect_exact("ho")
    interrupt(talk, signal.SIGINT, rf"\n{ESCAPES}{YOU}{ESCAPES}")
    say(talk, "/clear", r"\(history cleared\)\r\n")  # Ctrl-C removed "ho" from the line
    assert talk.process.poll() is None


def test_ctrl_d_ends_a_chat_only_on_an_empty_line(talk) -> None:
    say(talk, f"hi{CTRL_D}")
    talk.send(CTRL_D)
    assert talk.exit_code() == 0


def test_ctrl_c_stops_a_reply_but_not_the_chat(replying) -> None:
    replying.sendintr()
    replying.expect(r"([hioy]+)(\^C)? \(stopped\)\r\n")
    replying.expect_exact(YOU)
    replying.send("hi\r")
    replying.expect(rf"microgpt> {ESCAPES}\w{{20}}")
    replying.sendintr()
    replying.expect_exact("(stopped)")
    replying.expect_exact(YOU)
    replying.send(CTRL_D)
    assert replying.exit_code() == 0


def test_sigterm_ends_a_chat_during_a_reply(replying) -> None:
    replying.process.send_signal(signal.SIGTERM)
    replying.expect_exact("\r\nterminated\r\n")
    assert replying.exit_code() == 143


def test_sigterm_at_the_prompt_restores_the_terminal(talk) -> None:
    assert not termios.tcgetattr(talk.child_fd)[3] & termios.ECHO
    interrupt(talk, signal.SIGTERM, r"\n\S*terminated\r\n")  # printed on a separate line
    assert termios.tcgetattr(talk.child_fd)[3] & termios.ECHO
    assert talk.exit_code() == 143


@pytest.mark.parametrize("is_replying", [False, True])
def test_a_closed_terminal_ends_a_chat_without_error(endless_model, tmp_path, is_replying) -> None:
    with (tmp_path / "errors").open("w") as errors:
        child = Terminal("microgpt", "chat", "--model-dir", endless_model, stderr=errors)
    child.expect_exact("you> ")
    if is_replying:
        child.send("hi\r")
        child.expect_exact("microgpt> ")
    child.hang_up()
    assert child.process.wait(child.timeout) == -signal.SIGHUP
    assert (tmp_path / "errors").read_text() == ""


def test_train_removes_its_progress_line_before_it_prints_results(terminal, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\n")
    size = (24, 60)
    child = terminal("train", "--data=names.txt", "--steps=60", "--num-samples=1", size=size)
    child.expect(r"step +\d+ / +60 \| \S+ .*left \| mean loss \d\.\d{3}, last \d\.\d{3}")
    assert len(child.after) < 60  # the progress display takes one line
    child.expect_exact("\r\x1b[K")
    child.expect_exact("step   60 /   60 | loss ")
    child.expect_exact("sample  1: ")
    assert child.exit_code() == 0


def test_only_a_terminal_gets_escaped_samples_and_a_seed_note(terminal, microgpt, tmp_path) -> None:
    (tmp_path / "texts").write_text("\x1b[2Jhi\x7f\n")
    trained = terminal("train", "--input", "texts", "--dropout", "0", "--steps", "200")
    trained.expect_exact("sample  1: \\x1b[2Jhi\\x7f\r\n")
    trained.expect(pexpect.EOF)
    child = terminal("generate", "--num-samples", "1")
    child.expect_exact("sample  1: \\x1b[2Jhi\\x7f\r\n")
    child.expect_exact("use --seed random")
    piped = microgpt("generate", "--num-samples", "1")
    assert (piped.stdout, piped.stderr) == ("sample  1: \x1b[2Jhi\x7f\n", "")


def test_ctrl_c_ends_eval_while_it_compares_replies(terminal, endless_model, tmp_path) -> None:
    exam = '[{"role":"user","content":"hi"},{"role":"assistant","content":"yo","task":"greet"}]\n'
    (tmp_path / "exam.jsonl").write_text(exam * 4)
    child = terminal("eval", endless_model, "--data", "exam.jsonl", "--threads", "2")
    child.expect_exact("replies")
    child.sendintr()
    child.expect_exact("interrupted")
    assert child.exit_code() == 130
