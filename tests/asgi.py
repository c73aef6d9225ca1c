"""Send requests to an app in this process."""

import asyncio
from typing import Any

import httpx2


def ask_app(
    app: Any, *requests: tuple[str, str, dict[str, Any]], below: str = ""
) -> list[httpx2.Response]:
    """Return the responses of an app in this process; `below` is the prefix of a proxy."""

    async def ask() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app, root_path=below)
        base_url = f"http://localhost{below}"
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url=base_url) as client,
        ):
            return [await client.request(method, path, **more) for method, path, more in requests]

    return asyncio.run(ask())
