"""The process `microgpt-serve`: load the models, open the port, and serve until a signal arrives.

The exit code is 0 after a signal, and 2 if the service cannot start. A signal during startup ends
the process immediately, without a traceback.
"""

import gc
import logging
import math
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from microgpt_serve.models import ServedModels
    from microgpt_serve.service_settings import ServiceSettings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's threads would slow down the start
MAX_LINE = 4096  # maximum number of characters in an error message; enough for a long path
USAGE = "usage: microgpt-serve (set MODEL_DIR, PORT, … in the environment; see docs/serving.md)"
LOG = logging.getLogger("microgpt_serve")
# uvloop accepts one connection per listener and event-loop iteration. With one listener, clients
# waited 0.5 s to connect while 16 other clients sent large bodies, each on a new connection.
N_LISTENERS = 8
BACKLOG = 2048  # maximum number of connections waiting to be accepted
KEEP_ALIVE_S = 65  # idle timeout; proxies usually close idle connections first, after 60 s
MAX_CONNECTIONS = 1000  # uvicorn refuses more with 503; systems often allow 1,024 open files
# Switch interval of the GIL in seconds. With the default of 5 ms, the first event of a stream took
# 1.1 to 1.2 times as long (three runs of bench/serve_streams.py at commit a922fbb8).
SWITCH_S = 0.001


def main() -> NoReturn:
    """Run the `microgpt-serve` command, then exit."""
    gc.disable()  # until the server has started, because imports create hardly any garbage
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback on Ctrl-C during startup
    if sys.argv[1:]:
        is_help = sys.argv[1] in ("-h", "--help")
        print(USAGE, file=sys.stdout if is_help else sys.stderr)
        sys.exit(0 if is_help else 2)
    sys.exit(_serve())


def _serve() -> int:
    """Serve with the settings of the environment; return the exit code."""
    from microgpt import MicrogptError, printable
    from microgpt_serve.service_settings import read_settings

    try:
        serve(read_settings())
    except MicrogptError as error:
        print(f"error: {printable(str(error), MAX_LINE)}", file=sys.stderr)
        return 2
    return 0


def serve(settings: "ServiceSettings") -> None:
    """Serve requests until a signal arrives. Raise MicrogptError if the service cannot start."""
    import uvicorn
    from uvicorn.server import HANDLED_SIGNALS

    from microgpt_serve.app import create_app
    from microgpt_serve.models import ServedModels
    from microgpt_serve.observability import set_up_logs

    set_up_logs()
    models = ServedModels.load(settings)
    with _listen(settings.host, settings.port) as listener:
        sys.setswitchinterval(SWITCH_S)
        config = uvicorn.Config(
            create_app(settings, models),
            ws="none",
            log_config=None,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(settings.timeout_s) + 1,
        )
        for number in HANDLED_SIGNALS:  # exit with 0 when uvicorn stops and raises the signal again
            signal.signal(number, lambda *_: sys.exit(0))
        # Exclude loaded objects from garbage collection: p99 latency at 32 connections fell from
        # 128 ms to 18 ms (bench/serve_load.py with wrk, commit a922fbb8).
        gc.freeze()
        gc.enable()
        _announce(settings, models, listener)
        listeners = [listener, *(listener.dup() for _ in range(N_LISTENERS - 1))]
        uvicorn.Server(config).run(listeners)


def _listen(host: str, port: int) -> socket.socket:
    from microgpt import ConfigError

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {host}:{port}: {reason}; choose another port or host"
        raise ConfigError(message) from error


def _announce(settings: "ServiceSettings", models: "ServedModels", listener: socket.socket) -> None:
    """Log the address of the service, and warn about unknown or unsafe settings."""
    from microgpt_serve.service_settings import unknown_variables

    host, port = listener.getsockname()[:2]
    in_url = f"[{host}]" if ":" in host else host
    LOG.info("serving %s at http://%s:%s", models, in_url, port)
    for name in unknown_variables():
        LOG.warning("%s is not a setting; it has no effect", name)
    if settings.is_exposed and settings.api_key is None:
        LOG.warning("anyone who can connect to %s can use the service; set MICROGPT_API_KEY", host)
        if not settings.allowed_hosts:
            LOG.warning(
                "web pages can access the service through DNS rebinding; set "
                "MICROGPT_ALLOWED_HOSTS to the host names that clients use"
            )
