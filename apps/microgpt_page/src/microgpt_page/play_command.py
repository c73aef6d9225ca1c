"""`microgpt play`: open the page of a model in a browser."""

import os
import webbrowser
from collections.abc import Callable, Collection
from contextlib import suppress
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from microgpt import MicrogptError
from microgpt_cli.terminal.console import say
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import DEFAULT_MODEL_DIR, MODEL_OPTION, SERVED_MODELS, one_of

HOST = "127.0.0.1"
NAMES_MODEL = "models/names"  # a bundled text model, which `bundled_chats` does not list


@examples("microgpt play", "microgpt play output")
def play(
    models: list[str] | None = SERVED_MODELS, model_option: list[str] | None = MODEL_OPTION
) -> None:
    """Open a page to chat, generate, look inside and train.

    The page is served on a free port of this machine, until Ctrl-C, and links to the bundled
    models: Skerry, the assistant and names. `microgpt serve` serves the same page on a port of your
    choice; `microgpt export --format html` writes it to a file.
    """
    from microgpt import bundled, model_sources
    from microgpt_cli.model_loading import bundled_chats, load_model
    from microgpt_page.html_page import document

    given = one_of(models, model_option, "--model") or os.environ.get("MODEL_DIR")
    has_own = given or os.path.lexists(DEFAULT_MODEL_DIR)
    directories = model_sources(given) if has_own else {}
    for name, directory in (bundled_chats() | {"names": bundled(NAMES_MODEL)}).items():
        directories.setdefault(name, directory)

    def page(name: str) -> bytes:
        """Load a model again, because it may have been retrained, and return its page."""
        others = [other for other in directories if other != name]
        return document(load_model(directories[name]), name, others)

    page(next(iter(directories)))  # fail at the start if the model is too large for a page
    with ThreadingHTTPServer((HOST, 0), _handler(directories, page)) as server:
        url = f"http://{HOST}:{server.server_port}"
        say(f"open {url} in a browser; Ctrl-C stops the service")
        Thread(target=_open, args=(url,), daemon=True).start()  # opening a browser can take a while
        with suppress(KeyboardInterrupt):  # users stop the service with Ctrl-C
            server.serve_forever()


def _handler(names: Collection[str], page: Callable[[str], bytes]) -> type[BaseHTTPRequestHandler]:
    """Return a request handler that serves the page of the first model, or of `?model=NAME`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            name = parse_qs(url.query).get("model", [*names])[0]
            if self.headers.get("Host", HOST).partition(":")[0] not in (HOST, "localhost"):
                self._reply(403, b"Open this page at localhost.")  # prevents DNS rebinding
            elif url.path != "/" or name not in names:
                self._reply(404, b"There is no such page.")
            else:
                try:
                    self._reply(200, page(name))
                except MicrogptError as error:
                    self._reply(500, escape(f"error: {error}").encode())

        def _reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Do not log requests."""

    return Handler


def _open(url: str) -> None:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is webbrowser.GenericBrowser and "BROWSER" not in os.environ:
        return  # a text browser, which would take over the terminal
    browser.open(url)
