"""Send HTTP requests to an ASGI app in this process, without a server."""

import asyncio
from typing import Any

import httpx2


def ask_app(
    app: Any, *requests: tuple[str, str, dict[str, Any]], below: str = ""
) -> list[httpx2.Response]:
    """Return an app's responses to requests; `below` is the path prefix that a proxy removes."""

    async def ask() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app, root_path=below)
        base_url = f"http://localhost{below}"
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url=base_url) as client,
        ):
            return [await client.request(method, path, **more) for method, path, more in requests]

    return asyncio.run(ask())
