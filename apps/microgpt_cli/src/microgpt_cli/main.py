"""The entry point: runs a command and turns whatever happens into one line and an exit code.

    0 done    1 failed    2 bad input    130 interrupted    143 terminated

A reader that has had enough (`microgpt generate | head -1`) ends a command with 0, in silence.
"""

import signal
import sys
from types import FrameType
from typing import NoReturn, TextIO, cast

from microgpt_cli.results import abandon_stdout


class Terminated(KeyboardInterrupt):
    """SIGTERM came; handled as Ctrl-C is, under its own name."""


def main() -> NoReturn:
    """Run `microgpt` with the arguments of this process."""
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdin, sys.stdout, sys.stderr):  # no character may end in a traceback
        if stream is not None:
            cast(TextIO, stream).reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
        code = 0
    except KeyboardInterrupt as stop:
        terminated = isinstance(stop, Terminated)
        _say(f"{'terminated' if terminated else 'interrupted'} {stop}".rstrip())
        code = 143 if terminated else 130
    except MemoryError:
        _say("error: there is not enough memory; try a smaller model")
        code = 1
    except OSError as error:  # a full disk behind stdout, say
        _say(f"error: {error}")
        abandon_stdout()
        code = 1
    sys.exit(code)


def _run() -> int:
    import typer

    from microgpt.errors import MicrogptError
    from microgpt_cli.app import app

    try:
        return app()
    except typer.TyperException as error:
        _say(f"error: {_usage(error)}")
        return error.exit_code
    except MicrogptError as error:
        _say(f"error: {error}")
        return 2


def _usage(error: Exception) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "microgpt"
    return f"{message[:1].lower()}{message[1:]}; see '{command} --help'"


def _say(line: str) -> None:
    print(" ".join(line.splitlines()), file=sys.stderr)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
