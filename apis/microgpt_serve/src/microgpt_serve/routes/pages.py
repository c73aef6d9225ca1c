"""GET /, the page of a model, and GET /docs: web pages that load nothing from other hosts."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Sequence
from functools import cache, partial
from hashlib import sha256
from html import escape
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles

from microgpt import ConfigError, on_compiling, plugin
from microgpt_serve.app_state import model_of, state_of
from microgpt_serve.errors import RETRY_AFTER, ServeError
from microgpt_serve.middleware.guard import ASSETS, PAGE
from microgpt_serve.routes.status import ModelName
from microgpt_serve.served_models import ServedModel

LOG = logging.getLogger("microgpt_serve")
WAIT_S = 2.0  # time after which a browser is told to ask again
PIECE = 2**16  # bytes of a page in memory for each client that reads slowly
KEY_FORM = Path(__file__).with_name("key_form.html")
NO_SOURCES = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
POLICY = "; ".join((NO_SOURCES, *(f"{kind}-src 'self'" for kind in ("connect", "style", "img"))))
HEADERS = {
    "Cache-Control": "no-cache",  # after a restart, the model may be another one
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
RELOAD = "setTimeout(() => location.reload(), 1000);"

router = APIRouter(include_in_schema=False)
_assets = StaticFiles(packages=[("fastapi_offline", "static")])


@router.get(PAGE)
async def page(request: Request, name: ModelName = None) -> Response:
    """Return the page of a model.

    If the service has an API key, a request without one gets a form that asks for it.
    """
    if not plugin("pages", "document"):
        raise ServeError(404, "this service has no page; see /docs")
    if not request.scope.get("is_authorised", True):
        return _html(*key_form())
    state = state_of(request)
    model = model_of(request, name)
    others = [other.name for other in state.models.values() if other is not model]
    if model.name not in state.pages:
        state.pages[model.name] = state.page_work.submit(partial(_made, model, others), 0)
    made = state.pages[model.name]
    if not (await asyncio.wait([made], timeout=WAIT_S))[0]:
        return _notice(
            "The page is being made: its engine is compiled once on this computer, for about 20 "
            "seconds. This page reloads itself.",
            RELOAD,
            status=503,
        )
    try:
        content = made.result()
    except Exception as error:
        state.pages.pop(model.name, None)
        if not isinstance(error, ConfigError):  # a model that is too large, or a missing compiler
            raise
        links = " ".join(f'<a href="?model={quote(one, "")}">{escape(one)}</a>' for one in others)
        return _notice(escape(str(error)) + (f"</p><p>Other models: {links}" if links else ""))
    # Each piece is sent once the client has read most of the previous one.
    pieces = (content[start : start + PIECE] for start in range(0, len(content), PIECE))
    policy = "frame-ancestors 'none'"  # the rest is in the page
    headers = {"Content-Security-Policy": policy, "Content-Length": str(len(content))}
    return StreamingResponse(pieces, media_type="text/html", headers={**HEADERS, **headers})


def _made(model: ServedModel, others: Sequence[str]) -> bytes:
    with on_compiling(LOG.info):
        page: bytes = plugin("pages", "document")(model.saved, model.name, others)  # type: ignore[misc]
    return page


def _notice(sentence: str, script: str = "", status: int = 200) -> HTMLResponse:
    """Return a page with a sentence of HTML, and perhaps a script."""
    content = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>microgpt</title>'
        f'<p>{sentence}</p><p><a href="docs">API</a></p><script>{script}</script>'
    )
    page = _html(content, f"{NO_SOURCES}; script-src '{_hash(script)}'", status)
    page.headers.update(RETRY_AFTER if script else {})
    return page


def _html(content: str, policy: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(content, status, {**HEADERS, "Content-Security-Policy": policy})


@cache
def key_form() -> tuple[str, str]:
    """Return the form that asks for a key, and its policy, which also allows the page."""
    form = KEY_FORM.read_text("utf-8")
    script, style = (_hash(form.split(f"<{tag}>")[1].split("</")[0]) for tag in ("script", "style"))
    policy = plugin("pages", "policy")()  # type: ignore[misc]
    policy = policy.replace("script-src", f"script-src '{script}'")
    policy = policy.replace("style-src", f"style-src '{style}'")
    return form, f"{policy}; connect-src 'self'; frame-ancestors 'none'"


def _hash(text: str) -> str:
    """Return the hash of a script or a style for a content security policy."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Return Swagger UI. Its URLs are relative, for proxies that add a path prefix."""
    assets = ASSETS.removeprefix("/")
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="microgpt",
        swagger_js_url=f"{assets}/swagger-ui-bundle.js",
        swagger_css_url=f"{assets}/swagger-ui.css",
        swagger_favicon_url=f"{assets}/favicon.png",
    )
    content = bytes(page.body).decode()
    script = _hash(content.rpartition("<script>")[2].partition("</script>")[0])
    return _html(content, f"{POLICY} data:; script-src 'self' '{script}'")


@router.get(ASSETS + "/{file:path}")
async def docs_file(file: str, request: Request) -> Response:
    """Return a script, a style or a picture of Swagger UI."""
    return await _assets.get_response(file, request.scope)
