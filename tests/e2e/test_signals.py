"""Tests that commands in separate processes handle Ctrl-C, SIGTERM and closed pipes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import commands
import pytest
from commands import run_process

from microgpt_cli.terminal import console as signals

ENDINGS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
FOREVER = str(10**9)
STATE_FILES = ["train_state.json", "train_state.safetensors"]
pytestmark = pytest.mark.compiled


@pytest.fixture
def start(tmp_path: Path):
    """A function that starts a command, waits for its first line, and returns its process."""
    with contextlib.ExitStack() as stack:

        def launch(*args: str | Path) -> subprocess.Popen[str]:
            process = stack.enter_context(commands.running(["microgpt", *args], cwd=tmp_path))
            assert process.stdout.readline()
            return process

        yield launch


def last_line(process: subprocess.Popen[str]) -> str:
    """Wait for a process to end; return the only line on stderr besides notes and progress."""
    _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if not line.startswith(("note:", "step"))]
    assert len(lines) == 1, errors
    return lines[0]


@pytest.mark.parametrize(
    ("ending", "more"), [(0, []), (1, ["--threads=2", "--batch-size=64", "--n-embd=64"])]
)
def test_a_stopped_run_keeps_the_old_model_and_a_new_state(start, text_model, ending, more) -> None:
    number, code, word = ENDINGS[ending]
    before = {file: (text_model / file).read_bytes() for file in os.listdir(text_model)}
    process = start("train", "--output", text_model, "--force", "--steps", FOREVER, *more)
    time.sleep(1)  # time to load the kernel of the first step
    process.send_signal(number)
    line = last_line(process)
    hint = f"resume with: microgpt train --resume {text_model}"
    assert re.fullmatch(rf"{word} at step \d+ of {FOREVER}; {re.escape(hint)}", line)
    assert process.returncode == code
    after = {file: (text_model / file).read_bytes() for file in os.listdir(text_model)}
    assert {file: after[file] for file in before} == before
    assert after.keys() - before.keys() == set(STATE_FILES)


@pytest.mark.parametrize(("threads", "ending"), [(1, 0), (2, 1)])
def test_each_signal_ends_generate_with_its_exit_code(start, text_model, threads, ending) -> None:
    number, code, word = ENDINGS[ending]
    process = start("generate", "--threads", threads, "-n", FOREVER, "--model", text_model)
    process.send_signal(number)
    assert last_line(process) == word
    assert process.returncode == code


def test_ctrl_c_ends_a_chat_that_reads_from_a_pipe(chat_model) -> None:
    number, code, word = ENDINGS[0]
    command = ["microgpt", "chat", "--model-dir", chat_model]
    with commands.running(command) as process:
        process.stdin.write("hi\n")
        process.stdin.flush()
        assert process.stdout.readline() == "yo\n"
        process.send_signal(number)
        assert last_line(process) == word
    assert process.returncode == code


@pytest.mark.parametrize("command", [["generate", "--model", "text-model"], ["--help"]])
@pytest.mark.usefixtures("text_model")
def test_a_closed_pipe_ends_a_command_quietly(tmp_path, command) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = commands.run_process(["microgpt", *command], stdout=writer, cwd=tmp_path)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_does_not_lose_the_trained_model(start, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\n")
    process = start("train", "--input", "names.txt", "--steps", "30")
    process.stdout.close()
    process.stdout = None
    process.communicate(timeout=20)
    assert process.returncode == 0
    left = {"documents.crc32", "meta.json", "weights.json", *STATE_FILES}
    assert {*os.listdir(tmp_path / "output")} == left


def test_train_succeeds_if_the_shell_closed_its_standard_streams(tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\n")
    command = "microgpt train --steps 3 --input names.txt <&- >&- 2>&-"
    assert run_process(["sh", "-c", command], cwd=tmp_path).returncode == 0
    assert (tmp_path / "output").exists()


def test_a_second_signal_is_ignored_if_it_directly_follows_the_first(monkeypatch) -> None:
    with signals.StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # under `uv run`, each Ctrl-C arrives twice
        assert stop.reason is KeyboardInterrupt
        monkeypatch.setattr(signals, "REPEATED_S", 0)
        with pytest.raises(signals.Terminated):
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_printing_to_a_full_disk_gives_a_one_line_error(text_model) -> None:
    with open("/dev/full", "w") as full:
        done = commands.run_process(["microgpt", "generate", "--model", text_model], stdout=full)
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"


CODE = """
import threading, time
from microgpt_cli import main

def run():
    threading.Thread(target=time.sleep, args=(600,)).start()
    raise KeyboardInterrupt

main._run = run
main.command()
"""


def test_an_interrupted_command_does_not_wait_for_its_threads() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
