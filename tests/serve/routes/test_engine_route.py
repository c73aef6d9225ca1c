"""GET /microgpt/v1/engine.bin and the names: what the playground trains with."""

import json
from hashlib import sha256

from asgi import ask_app

from microgpt.data.documents import bundled
from microgpt.engine import wasm
from microgpt.errors import ConfigError
from microgpt_serve import Settings, create_app
from microgpt_serve.local_file import packed_engine
from microgpt_serve.served_models import load_model

PATH = "/microgpt/v1/engine.bin"


def test_the_engine_route_returns_the_training_kernels(names) -> None:
    reply = names.get(PATH)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/octet-stream")
    line, _, parts = reply.body.partition(b"\n")
    facts = json.loads(line)
    assert facts["sizes"].keys() == {name for name, _ in wasm.TRAINING}
    assert sum(facts["sizes"].values()) == len(parts)
    assert parts.count(b"\0asm") == len(wasm.TRAINING)
    assert facts["defaults"]["config"]["steps"] == 1000


def test_a_browser_that_has_the_engine_gets_a_304_response(names) -> None:
    tag = names.get(PATH).headers["etag"]
    assert tag == f'"{sha256(packed_engine()).hexdigest()[:16]}"'
    reply = names.get(PATH, if_none_match=tag)
    assert (reply.status, reply.body) == (304, b"")


def test_a_failed_compilation_of_the_engine_gets_a_404(names_dir, monkeypatch) -> None:
    def fails(kernels: object) -> None:
        raise ConfigError("no compiler")

    monkeypatch.setattr(wasm, "modules", fails)
    packed_engine.cache_clear()
    settings = Settings(model_dir=str(names_dir))
    (reply,) = ask_app(create_app(settings, load_model(settings)), ("GET", PATH, {}))
    assert (reply.status_code, reply.json()) == (404, {"error": "no compiler"})


def test_the_names_route_returns_the_bundled_names(names) -> None:
    reply = names.get("/playground/names.txt")
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.body == bundled("names.txt").read_bytes()
