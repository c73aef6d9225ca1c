"""GET /, the playground, and GET /docs: web pages that load nothing from other hosts."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

import microgpt_serve
from microgpt.data.documents import bundled
from microgpt_serve.middleware.keys_and_rate_limit import ASSETS, PLAYGROUND

READ_METHODS = ["GET", "HEAD"]
PLAYGROUND_FILES = Path(microgpt_serve.__file__).parent / "playground"
POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("connect", "img", "script", "style")),
        *(f"{rule} 'none'" for rule in ("base-uri", "form-action", "frame-ancestors")),
    )
)
# The playground trains models in a worker, with kernels in WebAssembly.
WASM_POLICY = POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
TYPES_POLICY = "; require-trusted-types-for 'script'; trusted-types worker"
HEADERS = {
    "Content-Security-Policy": WASM_POLICY + TYPES_POLICY,
    "Cache-Control": "no-cache",  # after an update, pages and scripts must fit together
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter(include_in_schema=False)
_playground_files = StaticFiles(directory=PLAYGROUND_FILES)
_assets = StaticFiles(packages=[("fastapi_offline", "static")])


@router.api_route("/", methods=READ_METHODS)
async def playground() -> FileResponse:
    """Return the playground, which calls the other routes."""
    return FileResponse(PLAYGROUND_FILES / "index.html", headers=HEADERS)


@router.api_route(PLAYGROUND + "/names.txt", methods=READ_METHODS)
async def names() -> FileResponse:
    """Return the bundled names, on which the page can train a model."""
    return FileResponse(bundled("names.txt"), headers=HEADERS, media_type="text/plain")


@router.api_route(PLAYGROUND + "/{file:path}", methods=READ_METHODS)
async def playground_file(file: str, request: Request) -> Response:
    """Return a script, a style or a picture of the playground."""
    response = await _playground_files.get_response(file, request.scope)
    response.headers.update(HEADERS)
    return response


@router.api_route("/docs", methods=READ_METHODS)
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
    script = bytes(page.body).rpartition(b"<script>")[2].partition(b"</script>")[0]
    digest = b64encode(sha256(script).digest()).decode()
    policy = POLICY.replace("script-src", f"script-src 'sha256-{digest}'")
    policy = policy.replace("img-src", "img-src data:")  # Swagger UI's style contains icons
    page.headers.update({**HEADERS, "Content-Security-Policy": policy})
    return page


@router.api_route(ASSETS + "/{file:path}", methods=READ_METHODS)
async def docs_file(file: str, request: Request) -> Response:
    """Return a script, a style or a picture of Swagger UI."""
    return await _assets.get_response(file, request.scope)
