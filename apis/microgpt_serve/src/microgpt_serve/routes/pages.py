"""GET /, the playground, and GET /docs: web pages that load nothing from other hosts."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

import microgpt_serve
from microgpt_serve.middleware.auth import ASSETS, PLAYGROUND

PLAYGROUND_FILES = Path(microgpt_serve.__file__).parent / "playground"
POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("connect", "img", "script", "style")),
        *(f"{rule} 'none'" for rule in ("base-uri", "form-action", "frame-ancestors")),
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",  # after an update, pages and scripts must fit together
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter(include_in_schema=False)


def add_pages(app: FastAPI) -> None:
    """Add the pages and their assets to an app."""
    app.include_router(router)
    app.mount(PLAYGROUND, _PlaygroundFiles(directory=PLAYGROUND_FILES))
    app.mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))


class _PlaygroundFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(HEADERS)
        return response


@router.get("/")
async def playground() -> FileResponse:
    """Return the playground, which calls the other routes."""
    return FileResponse(PLAYGROUND_FILES / "index.html", headers=HEADERS)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Return Swagger UI, with scripts and styles served by this app."""
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="microgpt",
        swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
    )
