"""Run `microgpt` in this process, as if a user had run the command.

A separate process takes half a second to start, so tests start one only to test processes: signals,
terminals, closed pipes, kills, and servers.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import typer
from typer.core import TyperCommand, TyperGroup

from microgpt_cli.all_commands import commands

COMMAND = Path(sys.executable).parent / "microgpt"
SERVE = COMMAND.with_name("microgpt-serve")
TIMEOUT_S = 300
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(
    *args: str | Path,
    cwd: Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run `microgpt` with arguments in the directory `cwd`; return its exit code and its output."""
    command = [str(COMMAND), *map(str, args)]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(stdin.encode("utf-8", "surrogateescape"))
        files[0].seek(0)
        stack.enter_context(_as_a_process(command, cwd, env or {}, files))
        code = _main()
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = (_content(file) for file in files[1:])
    done = subprocess.CompletedProcess(command, code, out, err)
    if check:
        done.check_returncode()
    return done


def ok(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Return a completed command after checking that it succeeded."""
    assert done.returncode == 0, done.stderr
    return done


def refused(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """Check that a command failed with the exit code `code` and one error, and return the error."""
    assert done.returncode == code, done.stderr
    assert code != 2 or not done.stdout
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert error.startswith("error: ")
    return error.removeprefix("error: ")


def every_command() -> Iterator[tuple[str, TyperCommand]]:
    """Yield the name and the object of each command and of each group of commands."""
    groups = [("microgpt", typer.main.get_command(commands()))]
    for name, group in groups:
        for child in group.list_commands(None):
            command = group.get_command(None, child)
            yield f"{name} {child}", command
            if isinstance(command, TyperGroup):
                groups.append((f"{name} {child}", command))


def _main() -> int:
    from microgpt_cli.main import main

    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape").replace("\r\n", "\n")


@contextlib.contextmanager
def _as_a_process(
    command: list[str], cwd: Path, env: Mapping[str, str], files: list[IO[bytes]]
) -> Iterator[None]:
    """Temporarily give this process a command's arguments, directory, environment and streams."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    hook, interval = sys.unraisablehook, sys.getswitchinterval()
    streams, argv, environ = (sys.stdin, sys.stdout, sys.stderr), sys.argv, dict(os.environ)
    errors = ("strict", "strict", "backslashreplace")
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(os.dup(file.fileno()), mode, encoding="utf-8", errors=error)
        for file, mode, error in zip(files, "rww", errors, strict=True)
    )
    sys.argv = command
    os.environ.update(env)
    ours = (sys.stdin, sys.stdout, sys.stderr)
    try:
        with contextlib.chdir(cwd):
            yield
    finally:
        for stream in ours:
            with contextlib.suppress(OSError):
                stream.close()
        sys.stdin, sys.stdout, sys.stderr = streams
        sys.argv, sys.unraisablehook = argv, hook
        sys.setswitchinterval(interval)
        os.environ.clear()
        os.environ.update(environ)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def run_process(
    command: Sequence[str | Path], *, stdin: str | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command in a separate process, and wait until it ends."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    options = {**streams, "timeout": TIMEOUT_S, "check": False, **options}
    return subprocess.run(list(map(str, command)), input=stdin, **options)


@contextlib.contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command with pipes in text mode; kill it if it still runs when the block ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options = {**pipes, "encoding": "utf-8", **options}
    with subprocess.Popen(list(map(str, command)), **options) as process:
        try:
            yield process
        finally:
            process.kill()  # if a test fails, the process might never end


LITTLE_ROOM = """
import resource, sys
from microgpt.training import hooks
from microgpt_cli import main
hooks.STATE_INTERVAL_S, hooks.STATE_SHARE = 0.0, float("inf")  # save as often as possible
most = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
main.main()
"""


def run_with_little_room(
    *args: str | Path, cwd: Path, most: int
) -> subprocess.CompletedProcess[str]:
    """Run a command that can write at most `most` bytes per file, and writes no .pyc files."""
    return run_process([sys.executable, "-B", "-c", LITTLE_ROOM, str(most), *args], cwd=cwd)
