"""Run the service: load the models, open the port, and serve."""

import socket

from microgpt_serve.app import create_app
from microgpt_serve.log import set_up_logs
from microgpt_serve.served_models import ServedModels
from microgpt_serve.server import Server
from microgpt_serve.settings import Settings

BACKLOG = 2048  # maximum number of connections waiting to be accepted


def serve(settings: Settings) -> None:
    """Serve requests until a signal stops the server.

    Raises:
        MicrogptError: a model cannot be loaded.
        OSError: the port cannot be opened.
    """
    set_up_logs()
    models = ServedModels.load(settings)
    with _listen(settings.host, settings.port) as listener:
        Server(create_app(settings, models), listener).run_until_stopped()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {host}:{port}: {reason}; choose another PORT or HOST"
        raise OSError(message) from error
