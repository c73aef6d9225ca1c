"""`microgpt-serve`, the command: what comes before the service runs, and its exit code.

    0 done    1 failed    2 bad input

It loads nothing before it has dealt with signals, which can come at any moment.
"""

import signal
import sys
from typing import NoReturn

MAX_LINE = 4096  # characters of an error: room for a path
USAGE = "usage: microgpt-serve (the environment has its settings: MODEL_DIR, PORT, …)"


def main() -> NoReturn:
    """Run `microgpt-serve`."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the service listens: no traceback
    hold_reloads()
    if sys.argv[1:]:
        sys.exit(_print_usage(asked=sys.argv[1] in ("-h", "--help")))
    sys.exit(_serve())


def hold_reloads() -> None:
    """Keep a SIGHUP until the service listens: by itself it would end the process."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def release_reloads() -> None:
    """Let SIGHUP through, and one that has come meanwhile."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def _serve() -> int:
    from microgpt.errors import MicrogptError
    from microgpt_serve.server import serve
    from microgpt_serve.settings import read_settings

    try:
        serve(read_settings())
    except MicrogptError as error:
        return _say(error, 2)
    except OSError as error:
        return _say(error, 1)
    return 0


def _print_usage(*, asked: bool) -> int:
    print(USAGE, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


def _say(error: Exception, code: int) -> int:
    from microgpt.printable import printable

    print(f"error: {printable(str(error), MAX_LINE)}", file=sys.stderr)
    return code
