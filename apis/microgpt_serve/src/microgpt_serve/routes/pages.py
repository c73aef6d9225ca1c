"""GET / and GET /docs: web pages that load nothing from other hosts."""

from html import escape
from string import Template

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from microgpt_serve.app_state import StateDep
from microgpt_serve.middleware.auth import ASSETS

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
GENERATE = '{"num_samples": 5}'
CHAT = '{"messages": [{"role": "user", "content": "hello"}]}'
REMARK = """
<p>This is a chat model: use <code>chat</code>. <code>generate</code> makes user messages, which a
model trained only on replies has not learned.</p>"""
HOME = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>microgpt</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
pre { padding: 1rem; border: 1px solid #8888; border-radius: 6px; overflow-x: auto }
</style>
</head>
<body>
<h1>microgpt</h1>
<p>An HTTP service that generates text with a small GPT. It serves $model.</p>
<pre>$commands</pre>$remark
<p><a href="docs">All routes and their fields</a>. Below <code>/v1</code> it is compatible with
OpenAI's API.</p>
</body>
</html>
""")

router = APIRouter(include_in_schema=False)


def add_pages(app: FastAPI) -> None:
    """Add the pages and the assets of /docs to an app."""
    app.include_router(router)
    app.mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))


@router.get("/")
async def home(request: Request, state: StateDep) -> HTMLResponse:
    """Return a page that describes the service and shows how to call it."""
    is_chat = state.model.gpt.tokenizer.is_chat
    bodies = {"chat": CHAT, "generate": GENERATE} if is_chat else {"generate": GENERATE}
    key = ' \\\n  -H "Authorization: Bearer $MICROGPT_API_KEY"' if state.settings.has_keys else ""
    kind = '-H "Content-Type: application/json"'
    commands = [
        f"curl {request.base_url}microgpt/v1/{name}{key} \\\n  {kind} -d '{body}'"
        for name, body in bodies.items()
    ]
    page = HOME.substitute(
        model=escape(str(state.model)),
        commands=escape("\n\n".join(commands), quote=False),
        remark=REMARK if is_chat else "",
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


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
