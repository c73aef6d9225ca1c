"""Ctrl-C, SIGTERM and closed pipes, on real processes."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import commands
import pytest
from commands import run_process

from microgpt_cli.terminal import signals

COMMAND = "microgpt"
PIPES = {"stdout": PIPE, "stderr": PIPE, "text": True}
ENDINGS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
FOREVER = str(10**9)
SHAPE = ("--n-embd", "16", "--n-layer", "1", "--block-size", "8")
STATE_FILES = ["history.jsonl", "train_state.json", "train_state.safetensors"]


@pytest.fixture
def start(tmp_path: Path):
    """Start the command in a fork and return the process, once it has printed its first line."""
    running = []

    def launch(*args: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen([COMMAND, *map(str, args)], cwd=tmp_path, stdin=PIPE, **PIPES)
        running.append(process)
        assert process.stdout.readline()
        return process

    yield launch
    for process in running:
        process.kill()
        process.communicate()


def last_line(process: subprocess.Popen[str]) -> str:
    """Wait for the process and return what it said at the end, which is no traceback."""
    _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if not line.startswith(("note:", "step"))]
    assert len(lines) == 1, errors
    return lines[0]


@pytest.mark.parametrize("more", [[], ["--threads=2", "--batch-size=64", "--n-embd=64"]])
@pytest.mark.parametrize(("number", "code", "word"), ENDINGS)
def test_stopping_a_training_run_keeps_the_old_model(
    start, text_model, number, code, word, more
) -> None:
    before = {file: (text_model / file).read_bytes() for file in os.listdir(text_model)}
    process = start("train", "--output", text_model, "--force", "--steps", FOREVER, *more)
    time.sleep(2 if more else 1)  # a step of threads begins with loading its kernel
    process.send_signal(number)
    line = last_line(process)
    assert re.fullmatch(
        rf"{word} at step \d+ of {FOREVER}; resume with: "
        rf"microgpt train --resume {re.escape(str(text_model))}; "
        rf"use the model so far with: microgpt generate --model {re.escape(str(text_model))} "
        "--unfinished",
        line,
    )
    assert process.returncode == code
    after = {file: (text_model / file).read_bytes() for file in os.listdir(text_model)}
    assert {file: after[file] for file in before} == before
    assert after.keys() - before.keys() == set(STATE_FILES)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "word"), ENDINGS)
@pytest.mark.parametrize(
    ("size", "more"), [(10**7, []), (10**7, ["--threads=2"]), (10**5, ["--engine=reference"])]
)
def test_training_stops_without_finishing_a_long_step(
    start, number, code, word, size, more
) -> None:
    process = start("train", f"--batch-size={size}", "--steps=2", *more)
    time.sleep(2)
    process.send_signal(number)
    assert last_line(process).startswith(f"{word} at step 0 of 2; resume with: ")
    assert process.returncode == code


@pytest.mark.parametrize(
    "command", ["generate --threads 1 -n", "generate --threads 2 -n", "verify --steps"]
)
@pytest.mark.parametrize(("number", "code", "word"), ENDINGS)
def test_generate_and_verify_can_be_interrupted(
    start, text_model, command, number, code, word
) -> None:
    is_generate = command.startswith("generate")
    more = [FOREVER, "--model", text_model] if is_generate else ["1000"]
    process = start(*command.split(), *more)
    process.send_signal(number)
    assert last_line(process) == word
    assert process.returncode == code


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "word"), ENDINGS)
def test_train_can_be_interrupted_while_learning_subwords(tmp_path, number, code, word) -> None:
    letters = random.Random(1).choices("abcdefghij", k=8_000_000)
    (tmp_path / "text.txt").write_text("".join(letters))
    options = ("--tokenizer", "bpe", "--text", "stream", "--steps", "9", *SHAPE)
    command = [COMMAND, "train", "--data", "text.txt", *options]
    with commands.running(command, cwd=tmp_path) as process:
        time.sleep(2)  # it learns from about the first second to the sixth
        process.send_signal(number)
        assert last_line(process) == word
    assert process.returncode == code
    assert os.listdir(tmp_path) == ["text.txt"]


@pytest.mark.parametrize(("number", "code", "word"), ENDINGS)
def test_a_piped_chat_can_be_interrupted(chat_model, number, code, word) -> None:
    command = [COMMAND, "chat", "--model-dir", chat_model]
    with commands.running(command) as process:
        process.stdin.write("hi\n")
        process.stdin.flush()
        assert process.stdout.readline() == "yo\n"
        process.send_signal(number)
        assert last_line(process) == word
    assert process.returncode == code


A_SLOW_DISK = """
from microgpt_cli.main import main
import time
from microgpt.files import atomic_files

def read(path, max_bytes):
    print("reading", flush=True)
    time.sleep(60)

atomic_files.read_regular_file = read
main()
"""


@pytest.mark.parametrize(("number", "code", "word"), ENDINGS)
@pytest.mark.parametrize("command", ["info", "generate", "chat"])
def test_a_command_can_be_interrupted_while_reading_a_model(
    text_model, command, number, code, word
) -> None:
    program = [sys.executable, "-c", A_SLOW_DISK, command, "--model-dir", text_model]
    with commands.running(program) as process:
        assert process.stdout.readline() == "reading\n"
        process.send_signal(number)
        assert last_line(process) == word
    assert process.returncode == code


@pytest.mark.parametrize("command", ["generate", "info", "chat"])
def test_a_closed_pipe_ends_a_command_quietly(text_model, chat_model, command) -> None:
    model = chat_model if command == "chat" else text_model
    with without_reader() as stdout:
        command = [COMMAND, command, "--model-dir", model]
        done = commands.run_process(command, stdin="hi\n" * 10, stdout=stdout)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_python_prints_nothing_about_a_closed_pipe_at_exit(option) -> None:
    with without_reader() as stdout:
        done = subprocess.run([COMMAND, option], stdout=stdout, stderr=PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@contextlib.contextmanager
def without_reader() -> Iterator[int]:
    """A pipe from which nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_a_closed_pipe_does_not_lose_the_trained_model(start, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\n")
    process = start("train", "--input", "names.txt", "--steps", "30")
    process.stdout.close()
    process.stdout = None
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert sorted(os.listdir(tmp_path / "output")) == sorted(
        ["documents.crc32", "meta.json", "weights.json", *STATE_FILES]
    )


CLOSED = """
import os, sys
from microgpt_cli.main import main
name = sys.argv.pop(1)
os.close(getattr(sys, name).fileno())
setattr(sys, name, None)
main()
"""


@pytest.mark.parametrize(
    "command",
    [
        ("train", "--input", "names.txt", "--steps", "3"),
        ("generate", "--model-dir", "text-model"),
        ("chat", "--model-dir", "chat-model"),
        ("info", "--model-dir", "text-model"),
        ("--help",),
    ],
)
@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
@pytest.mark.usefixtures("text_model", "chat_model")
def test_each_command_succeeds_with_a_closed_standard_stream(tmp_path, command, closed) -> None:
    """To Python a stream that is closed when it starts is None."""
    (tmp_path / "names.txt").write_text("anna\n")
    program = [sys.executable, "-c", CLOSED, closed, *command]
    done = commands.run_process(program, stdin="hi\n", cwd=tmp_path)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "error" not in done.stdout + done.stderr
    assert (done.stdout == "") == (closed == "stdout" or (command[0], closed) == ("chat", "stdin"))
    assert (tmp_path / "output").exists() == (command[0] == "train")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_train_succeeds_with_a_stream_closed_by_the_shell(tmp_path, closed) -> None:
    (tmp_path / "names.txt").write_text("anna\n")
    command = f"microgpt train --steps 3 --input names.txt {closed}"
    done = run_process(["sh", "-c", command], cwd=tmp_path)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "error" not in done.stdout + done.stderr
    assert (done.stdout == "") == (closed == ">&-")
    assert (tmp_path / "output").exists()


def test_bad_input_exits_with_2_even_if_stderr_is_closed(tmp_path) -> None:
    done = run_process(
        ["bash", "-c", "microgpt generate --model-dir nope 2> >(exec <&-); echo $?"],
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout == "2\n"


@pytest.mark.slow
def test_a_signal_during_start_up_is_reported(tmp_path, text_model) -> None:
    """From the moment that our code runs; Python's own start says nothing, or a traceback."""
    for i in range(38):
        number, code, word = ENDINGS[i % 2]
        with commands.running(
            [COMMAND, "generate", "--model-dir", text_model, "--num-samples", FOREVER],
            env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},  # tells how far it is
            stdout=subprocess.DEVNULL,
            encoding=None,
            bufsize=0,  # the rest of a line would be lost
        ) as process:
            assert any(line.endswith(b" microgpt_cli.main\n") for line in process.stderr)
            time.sleep((2 + 8 * i) / 1000)
            process.send_signal(number)
            _, errors = process.communicate(timeout=20)
        lines = errors.decode().splitlines()
        told = [line for line in lines if not line.startswith("import time:")]
        assert (process.returncode, told) == (code, [word])


DROPPED = """
    import os, signal, sys, time, weakref
    from microgpt_cli.terminal import signals
    signals.REPEAT_AFTER_S = 0.2
    signals.record_signals()
    signals.raise_signals()
    class Thing: pass
    thing = Thing()
    watch = weakref.ref(thing, lambda _: os.kill(os.getpid(), int(sys.argv[1])))
    try:
        del thing  # the signal comes inside the callback, from where nothing can be raised
        time.sleep(10)
    except KeyboardInterrupt as stop:
        signals.clear_pending_stop()
        print(type(stop).__name__)
"""


EARLY = """
    import os, sys
    from microgpt_cli.terminal import signals
    signals.record_signals()
    os.kill(os.getpid(), int(sys.argv[1]))
    print("on")
    try:
        signals.raise_signals()
    except KeyboardInterrupt as stop:
        signals.clear_pending_stop()
        print(type(stop).__name__)
"""


def test_a_second_signal_interrupts_saving_only_after_a_while(monkeypatch) -> None:
    with signals.StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the copy that `uv run` sends
        assert stop.reason is KeyboardInterrupt
        monkeypatch.setattr(signals, "REPEATED_S", 0)
        with pytest.raises(signals.Terminated):
            signal.raise_signal(signal.SIGTERM)


CHANGED = """
    import os
    from microgpt_cli import main
    from microgpt.errors import CheckpointError
    import microgpt_cli.model_loading
    def load(directory, **options):
        try:
            os.kill(os.getpid(), NUMBER)
        except KeyboardInterrupt as stop:
            raise ERROR("something else") from stop
    microgpt_cli.model_loading.load = load
    main.main()
"""


BETWEEN = """
    import os, typer
    from microgpt_cli import main
    enter = typer.Context.__enter__
    def stop_and_enter(context):
        if not context._depth:  # neither parsing nor in a command
            os.kill(os.getpid(), NUMBER)
        return enter(context)
    typer.Context.__base__.__enter__ = stop_and_enter
    main.main()
"""


@pytest.mark.parametrize(
    "program",
    [CHANGED.replace("ERROR", "ValueError"), CHANGED.replace("ERROR", "CheckpointError"), BETWEEN],
    ids=["ValueError", "CheckpointError", "typer"],
)
@pytest.mark.parametrize(("number", "code", "word"), ENDINGS)
def test_a_signal_that_a_library_turns_into_an_error_is_reported(
    number, code, word, program
) -> None:
    program = textwrap.dedent(program).replace("NUMBER", str(int(number)))
    done = commands.run_process([sys.executable, "-c", program, "generate"])
    assert (done.returncode, done.stderr) == (code, f"{word}\n")


SWALLOWED = """
    import os, signal, sys, time
    from microgpt_cli.terminal import signals
    signals.REPEAT_AFTER_S = 0.05
    signals.record_signals()
    signals.raise_signals()
    try:
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(10)
    except BaseException:  # as in a library that tries whether something is there
        pass
    try:
        time.sleep(10)
    except KeyboardInterrupt as stop:
        signals.clear_pending_stop()
        print(type(stop).__name__)
    time.sleep(0.2)
"""


@pytest.mark.parametrize(
    ("program", "first"), [(DROPPED, ""), (EARLY, "on\n"), (SWALLOWED, "")],
    ids=["dropped by Python", "early", "swallowed by a library"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "Terminated")]
)
def test_a_signal_is_kept_or_repeated_until_it_is_handled(program, first, number, name) -> None:
    command = [sys.executable, "-c", textwrap.dedent(program), str(int(number))]
    done = commands.run_process(command, check=True)
    assert (done.stdout, done.stderr) == (f"{first}{name}\n", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_behind_stdout_gives_a_one_line_error(text_model) -> None:
    with open("/dev/full", "w") as full:
        done = commands.run_process([COMMAND, "generate", "--model-dir", text_model], stdout=full)
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"


def test_no_repeated_signal_arrives_after_a_command_has_ended() -> None:
    """An alarm that is still set when Python shuts down would end the process by itself."""
    code = (
        "import os, signal, sys, time\n"
        "from microgpt_cli.terminal import signals\n"
        "signals.REPEAT_AFTER_S = 0.05\n"
        "signals.record_signals()\n"
        "signals.raise_signals()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "except signals.Terminated:\n"
        "    signals.ignore_signals()\n"
        "time.sleep(0.1)\n"
        "sys.exit(143)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 143
