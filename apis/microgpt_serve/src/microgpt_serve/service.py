"""Run the service: load the models, open the port, and serve with one process or several."""

import socket
from collections.abc import Callable

from microgpt_serve.app import create_app
from microgpt_serve.app_state import AppState
from microgpt_serve.log import set_up_logs
from microgpt_serve.served_models import ServedModels
from microgpt_serve.server import Server, announce, service_signals
from microgpt_serve.settings import Settings

BACKLOG = 2048  # maximum number of connections waiting to be accepted


def serve(settings: Settings, on_start: Callable[[str], None] = lambda url: None) -> None:
    """Serve requests until a signal stops the server.

    Args:
        on_start: called with the URL, in a thread, once the service accepts requests.

    Raises:
        MicrogptError: no model can be loaded.
        OSError: the port cannot be opened.
    """
    log = set_up_logs(as_json=settings.log_json)
    try:
        models = ServedModels.load(settings)
        with _listen(settings.host, settings.port) as listener:
            if settings.processes > 1:
                from microgpt_serve.processes import serve_with_processes  # few services need it

                serve_with_processes(settings, models, listener, log, on_start)
            else:
                app = create_app(settings, models)
                state: AppState = app.state.app_state
                log.on_drop = state.metrics.dropped_lines.inc
                server = Server(app, lambda: announce(state, listener, on_start))
                server.handlers = service_signals(server.drain, state.reloader)
                server.run_on(listener)
    finally:
        log.finish()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {host}:{port}: {reason}; choose another PORT or HOST"
        raise OSError(message) from error
