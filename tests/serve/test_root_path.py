from asgi import ask_app
from pydantic import SecretStr

from microgpt_serve import ServiceSettings, create_app

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


def test_a_service_below_a_path_prefix_gives_the_same_responses(talk_dir) -> None:
    app = create_app(ServiceSettings(model_dir=str(talk_dir), api_key=SecretStr("k")))
    key = {"headers": {"Authorization": "Bearer k"}}
    paths = ("/health", "/docs", "/openapi.json")
    *pages, refused, unknown, reply, metrics = ask_app(
        app,
        *(("GET", path, {}) for path in paths),
        ("GET", "/v1/models", {}),
        ("GET", "/v1/nothing", key),
        ("POST", "/v1/chat/completions", {"json": CHAT, **key}),
        ("GET", "/metrics", key),
        below="/pre",
    )
    assert [page.status_code for page in pages] == [200] * len(paths)
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert unknown.json()["error"]["message"].startswith("/v1/nothing does not exist; use one of")
    assert reply.status_code == 200
    for path in ("/health", "/docs", "/v1/chat/completions"):
        assert f'microgpt_requests_total{{route="{path}",status="200"}} 1.0' in metrics.text
    tokens = f'model="talk"}} {reply.json()["usage"]["completion_tokens"]}.0'
    assert f"microgpt_tokens_total{{{tokens}" in metrics.text
