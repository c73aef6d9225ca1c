"""Entry point: run a command, and convert errors to a one-line message and an exit code.

    0 success    1 failure    2 bad input    130 SIGINT    143 SIGTERM

If the output pipe is closed (`microgpt generate | head -1`), a command exits silently with 0.
"""

import atexit
import errno
import gc
import os
import sys
import threading
import warnings
from contextlib import suppress
from typing import NoReturn

from microgpt_cli.terminal.console import (
    Terminated,
    discard_output,
    ignore_signals,
    note,
    prepare_streams,
    raise_on_sigterm,
    say,
)

gc.set_threshold(100_000)  # otherwise, garbage collection takes 10 % of the start-up time
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # saves a plug-in search of 30 ms
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # unused threads would slow down start-up


def main() -> NoReturn:
    """Run `microgpt` with the command-line arguments."""
    prepare_streams()
    raise_on_sigterm()
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output(sys.stdout)
        code = 0
    except KeyboardInterrupt as stop:
        what, code = ("terminated", 143) if isinstance(stop, Terminated) else ("interrupted", 130)
        say(f"{what} {stop}".rstrip())
    except MemoryError:
        say("error: not enough memory; use a smaller model")
        code = 1
    except OSError as error:
        is_full = error.errno == errno.ENOSPC and not error.filename  # stdout has no file name
        problem = f"cannot write to standard output: {error.strerror}" if is_full else error
        say(f"error: {problem}")
        discard_output(sys.stdout)
        code = 1
    ignore_signals()
    sys.exit(code)


def command() -> NoReturn:
    """Run `microgpt` without freeing objects at exit, which would take 25 % of a short run."""
    try:
        main()
    except SystemExit as end:
        is_stopped = end.code in (130, 143)  # after a signal, do not wait for threads
        if threading.active_count() > 1 and not is_stopped:
            raise  # Python then waits for the other threads
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        atexit._run_exitfuncs()
        os._exit(int(end.code or 0))


def _run() -> int:
    import typer

    from microgpt import EngineWarning, FullDiskError, MicrogptError, on_compiling
    from microgpt_cli.all_commands import app

    try:
        with warnings.catch_warnings(), on_compiling(note):
            warnings.simplefilter("default", EngineWarning)
            warnings.showwarning = lambda warning, *place: note(str(warning))
            return app()
    except typer.TyperException as error:
        say(f"error: {_usage(error)}")
        return error.exit_code
    except MicrogptError as error:
        say(f"error: {error}")
        return 1 if isinstance(error, FullDiskError) else 2


def _usage(error: Exception) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    message = message.replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "microgpt"
    return f"{message[:1].lower()}{message[1:]}; see '{command} --help'"
