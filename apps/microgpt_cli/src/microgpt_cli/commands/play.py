"""`microgpt play`: serve a model to a browser on this machine, and open the browser."""

import logging
import os
import webbrowser
from pathlib import Path

from microgpt_cli.terminal.console import say
from microgpt_cli.terminal.options import SERVED_MODEL


def play(model: Path | None = SERVED_MODEL) -> None:
    """Open a page that chats, generates and looks inside.

    The page is served on a free port of this machine, until Ctrl-C. `microgpt serve` serves the
    same page on a port of your choice.
    """
    from microgpt_serve.server import serve
    from microgpt_serve.settings import read_settings

    directory = None if model is None else str(model)
    settings = read_settings(model_dir=directory, host="127.0.0.1", port=0)
    logging.getLogger("microgpt_serve.access").setLevel(logging.WARNING)
    serve(settings, _open)


def _open(url: str) -> None:
    say(f"open {url} in a browser; Ctrl-C stops the service")
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is webbrowser.GenericBrowser and "BROWSER" not in os.environ:
        return  # a browser for the terminal, which would take it over
    browser.open(url)
