import asyncio

import httpx2
import pytest
from pydantic import SecretStr

from microgpt_serve import Settings, create_app

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def ask(talk_dir):
    """Send requests to an app with a key; return the responses."""
    app = create_app(Settings(model_dir=str(talk_dir), api_key=SecretStr("k")))

    async def send(*requests: tuple[str, str, dict]) -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app, root_path="/pre")
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://localhost/pre") as client,
        ):
            return [await client.request(method, path, **more) for method, path, more in requests]

    return lambda *requests: asyncio.run(send(*requests))


def test_it_works_as_without_a_prefix(ask) -> None:
    key = {"headers": {"Authorization": "Bearer k"}}
    paths = ("/", "/health", "/docs", "/openapi.json", "/playground/main.js")
    *pages, refused, unknown, reply, metrics = ask(
        *(("GET", path, {}) for path in paths),
        ("GET", "/v1/models", {}),
        ("GET", "/v1/nothing", key),
        ("POST", "/v1/chat/completions", {"json": CHAT, **key}),
        ("GET", "/metrics", key),
    )
    assert [page.status_code for page in pages] == [200] * len(paths)
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert unknown.json()["error"]["message"] == "/v1/nothing does not exist"
    assert reply.status_code == 200
    for path in (*paths[:-1], "/v1/chat/completions"):
        assert f'microgpt_requests_total{{route="{path}",status="200"}} 1.0' in metrics.text
    tokens = f'route="/v1/chat/completions"}} {reply.json()["usage"]["completion_tokens"]}.0'
    assert f"microgpt_tokens_total{{{tokens}" in metrics.text
