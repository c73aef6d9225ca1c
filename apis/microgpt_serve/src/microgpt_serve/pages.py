"""The page of a model (GET /) and Swagger UI (GET /docs); they load nothing from other hosts."""

import asyncio
import logging
from base64 import b64encode
from concurrent.futures import Future
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Thread

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from microgpt import on_compiling, plugin
from microgpt_serve.middleware import ASSETS, PAGE
from microgpt_serve.models import ServedModel, ServedModels
from microgpt_serve.request import service_of
from microgpt_serve.service_errors import ServeError

LOG = logging.getLogger("microgpt_serve")
KEY_FORM = Path(__file__).with_name("key_form.html")
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Cache-Control": "no-cache",  # a restarted service can serve another model at this address
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter(include_in_schema=False)
assets = StaticFiles(packages=[("fastapi_offline", "static")])


@router.get(PAGE)
async def page(http: HttpRequest) -> Response:
    """Return the page of the model in `?model=` (default: the first), or a form for the API key."""
    if not plugin("pages", "document"):
        raise ServeError(404, "this service has no page; see /docs")
    if not http.scope["is_authorised"]:
        return _html(*key_form())
    models, made = service_of(http).models, http.app.state.pages
    model = models.find(http.query_params.get("model"))
    if model.name not in made or (made[model.name].done() and made[model.name].exception()):
        made[model.name] = _start_making(model, models)
    left_s = http.scope["deadline"] - asyncio.get_running_loop().time()
    try:
        content = await asyncio.wait_for(asyncio.wrap_future(made[model.name]), left_s)
    except TimeoutError:
        message = "the page is being made, which takes about 20 seconds the first time; try again"
        raise ServeError(503, message, headers={"retry-after": "5", "refresh": "5"}) from None
    return _html(content, "frame-ancestors 'none'")  # the HTML contains the other directives


def _start_making(model: ServedModel, models: ServedModels) -> Future[bytes]:
    """Return a future for a page that is made in a daemon thread, which does not delay exit."""
    others, future = [name for name in models if name != model.name], Future[bytes]()
    future.set_running_or_notify_cancel()  # so that the timeout of a request cannot cancel it

    def make() -> None:
        try:
            with on_compiling(LOG.info):
                future.set_result(plugin("pages", "document")(model.saved, model.name, others))  # type: ignore[misc]
        except Exception as error:
            future.set_exception(error)

    Thread(target=make, daemon=True).start()
    return future


def _html(content: bytes, policy: str) -> HTMLResponse:
    return HTMLResponse(content, headers={**HEADERS, "Content-Security-Policy": policy})


@cache
def key_form() -> tuple[bytes, str]:
    """Return the API-key form, and a content security policy for the form and the model's page."""
    form = KEY_FORM.read_bytes()
    policy = plugin("pages", "policy")()  # type: ignore[misc]
    for tag in ("script", "style"):
        text = form.split(b"<%b>" % tag.encode())[1].split(b"</")[0]
        policy = policy.replace(f"{tag}-src", f"{tag}-src '{_hash(text)}'")
    return form, f"{policy}; connect-src 'self'; frame-ancestors 'none'"


def _hash(text: bytes) -> str:
    """Return the hash of a script or a style for a content security policy."""
    return f"sha256-{b64encode(sha256(text).digest()).decode()}"


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Return Swagger UI, whose relative URLs also work behind a proxy that adds a path prefix."""
    below = ASSETS.removeprefix("/")
    shown = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="microgpt",
        swagger_js_url=f"{below}/swagger-ui-bundle.js",
        swagger_css_url=f"{below}/swagger-ui.css",
        swagger_favicon_url=f"{below}/favicon.png",
    )
    content = bytes(shown.body)
    script = _hash(content.rpartition(b"<script>")[2].partition(b"</script>")[0])
    sources = (
        f"connect-src 'self'; style-src 'self'; img-src 'self' data:; script-src 'self' '{script}'"
    )
    return _html(content, f"{POLICY}; {sources}")
