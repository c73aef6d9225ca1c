"""`microgpt play`: serve a model to a browser on this machine, and open the browser."""

import logging
import os
import webbrowser
from pathlib import Path

from microgpt_cli.terminal.console import say
from microgpt_cli.terminal.options import SERVED_MODELS, option


def play(
    models: list[str] | None = SERVED_MODELS,
    file: Path | None = option(
        None, "Write the page, the model and the engine to this HTML file, and open it."
    ),
) -> None:
    """Open a page to chat, generate text and look inside a model.

    The page is served on a free port of this machine, until Ctrl-C. `microgpt serve` serves the
    same page on a port of your choice. With --file, no service is needed.
    """
    from microgpt_serve.settings import read_settings

    settings = read_settings(model_dir=models, host="127.0.0.1", port=0)
    if file:
        from microgpt_cli.commands.export import write_page
        from microgpt_cli.training.replacement import confirm_file
        from microgpt_serve.served_models import load_model

        confirm_file(file, "--file", "microgpt export --format html --force")
        write_page(load_model(settings), file)
        _open(file.resolve().as_uri())
        return
    from microgpt_serve.service import serve

    logging.getLogger("microgpt_serve.access").setLevel(logging.WARNING)
    serve(settings, _open_service)


def _open_service(url: str) -> None:
    say(f"open {url} in a browser; Ctrl-C stops the service")
    _open(url)


def _open(url: str) -> None:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is webbrowser.GenericBrowser and "BROWSER" not in os.environ:
        return  # a browser for the terminal, which would take it over
    browser.open(url)
