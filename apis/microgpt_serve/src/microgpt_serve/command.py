"""The `microgpt-serve` command and its exit codes: 0 success, 2 if it cannot start.

Signal handlers are installed before any large module is imported.
"""

import gc
import os
import signal
import sys
from typing import NoReturn

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's threads slow the start; unused
MAX_LINE = 4096  # maximum number of characters in an error message; enough for a long path
USAGE = "usage: microgpt-serve (set MODEL_DIR, PORT, … in the environment; see docs/serving.md)"


def main() -> NoReturn:
    """Run the `microgpt-serve` command, then exit."""
    gc.disable()  # until the server has started: imports create many objects, hardly any garbage
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback on Ctrl-C during startup
    if sys.argv[1:]:
        is_help = sys.argv[1] in ("-h", "--help")
        print(USAGE, file=sys.stdout if is_help else sys.stderr)
        sys.exit(0 if is_help else 2)
    sys.exit(_serve())


def _serve() -> int:
    from microgpt import MicrogptError, printable
    from microgpt_serve.server import serve
    from microgpt_serve.settings import read_settings

    try:
        serve(read_settings())
    except MicrogptError as error:
        print(f"error: {printable(str(error), MAX_LINE)}", file=sys.stderr)
        return 2
    return 0
