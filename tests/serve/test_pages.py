"""Tests of the page of a model (GET /) and of Swagger UI (GET /docs)."""

import re
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import uvicorn
from asgi import ask_app
from packages import write_package

import microgpt_serve
from microgpt import InferenceGpt, load, save
from microgpt_serve import ServiceSettings, create_app

KEY = {"Authorization": "Bearer secret"}
MODEL_DATA = '<script type="text/plain" id="model-data">'


def test_responses_without_the_key_reveal_nothing_about_the_model(names_dir, talk_dir) -> None:
    paths = (
        "/", "/?model=names", "/?model=x", "/docs", "/health",
        "/openapi.json", "/docs/assets/swagger-ui-bundle.js", "/docs/assets/x", "/nowhere",
        "/metrics", "/v1/models",
    )  # fmt: skip
    asked = [
        (method, path, {"headers": headers})
        for path in paths
        for method in ("GET", "HEAD", "POST")
        for headers in ({}, {"Authorization": "Bearer wrong"})
    ]
    apps = [
        create_app(ServiceSettings(model_dir=str(d), api_key="secret"))
        for d in (names_dir, talk_dir)
    ]
    for request, *both in zip(asked, *(ask_app(app, *asked) for app in apps), strict=True):
        found = [
            (each.status_code, each.content, {**each.headers, "x-request-id": ""}) for each in both
        ]
        assert found[0] == found[1], request
        assert MODEL_DATA not in both[0].text, request
    told = [ask_app(app, ("GET", "/health", {"headers": KEY}))[0].json() for app in apps]
    assert [each["model"] for each in told] == ["names", "talk"]


@pytest.mark.parametrize(
    ("entry", "status", "problem"),
    [
        ("document = broken:page", 500, "microgpt-page cannot be imported"),
        ("", 404, "/docs"),  # a package without plug-ins hides the real one
    ],
)
def test_a_missing_or_broken_microgpt_page_affects_only_the_page(
    names_dir, install, entry, status, problem
) -> None:
    install("microgpt-page", "pages", entry, broken="import nosuchmodule")
    app = create_app(ServiceSettings(model_dir=str(names_dir)))
    page, *others = ask_app(app, *(("GET", path, {}) for path in ("/", "/docs", "/v1/models")))
    assert [page.status_code, *(each.status_code for each in others)] == [status, 200, 200]
    assert problem in page.json()["error"]


def test_a_slow_page_made_once_gets_a_503_and_delays_no_sigterm(serve, names_dir, tmp_path) -> None:
    slow = "import time\ndocument = lambda *about: print('begun', flush=True) or time.sleep(60)"
    write_package(tmp_path, "microgpt-page", "pages", "document = slow:document", slow=slow)
    server = serve(names_dir, PYTHONPATH=str(tmp_path), MICROGPT_TIMEOUT_S="0.5")
    with ThreadPoolExecutor(2) as clients:
        pages = [clients.submit(server.get, "/") for _ in range(2)]
        server.wait_for("begun")
        server.signal(signal.SIGTERM)
        for page in pages:
            assert (page.result().status, page.result().headers["retry-after"]) == (503, "5")
            assert "the page is being made" in page.result().json["error"]
    assert server.process.wait(10) == 0
    assert server.log.count("begun") == 1


@pytest.mark.slow
def test_the_service_refuses_the_page_of_a_too_large_model(slow_dir, talk_dir) -> None:
    page = pytest.importorskip("microgpt_page.html_page")
    page.document(load(talk_dir), "talk")  # compiles the page's engine now, so no request waits
    app = create_app(ServiceSettings(model_dir=(str(slow_dir), f"talk & co={talk_dir}")))
    large, other = ask_app(app, ("GET", "/", {}), ("GET", "/?model=talk%20%26%20co", {}))
    assert large.status_code == 400
    assert "at most 20 MB" in large.json()["error"]
    assert MODEL_DATA in other.text


def test_the_api_docs_load_nothing_from_other_hosts(names) -> None:
    page = names.get("/docs")
    assert "https://" not in page.body.decode()
    assets = re.findall(r'(?:src|href)="([^"]*)"', page.body.decode())
    assert len(assets) == 3
    for path in assets:
        assert names.get(f"/{path}").status == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "; img-src 'self' data:; " in policy
    assert "unsafe" not in policy


README = Path(__file__).resolve().parents[2] / "apis/microgpt_serve/README.md"


def test_the_serve_package_exports_only_settings_and_create_app() -> None:
    assert microgpt_serve.__all__ == ["ServiceSettings", "create_app"]
    assert all(getattr(microgpt_serve, name) for name in microgpt_serve.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = microgpt_serve.nothing


def test_the_readme_example_serves_a_model(monkeypatch, tmp_path, names_result, names_gpt) -> None:
    monkeypatch.chdir(tmp_path)
    save(names_result, "output")
    apps = []
    monkeypatch.setattr(uvicorn, "run", lambda app, port: apps.append(app))
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    exec(example, {})
    (app,) = apps
    requests = ("GET", "/hello", {}), ("POST", "/microgpt/v1/generate", {"json": {}})
    hello, generated = ask_app(app, *requests)
    assert hello.json() == "Hello!"
    assert generated.json() == {"samples": names_gpt.generate()}


def test_create_app_reads_its_settings_from_the_environment(monkeypatch, names_dir) -> None:
    monkeypatch.setenv("MODEL_DIR", str(names_dir))
    monkeypatch.setenv("MICROGPT_API_KEY", "k")
    app = microgpt_serve.create_app()
    assert list(app.state.service.models) == ["names"]
    assert app.openapi()["security"] == [{"key": []}]


OTHERS = ("characters", "cli", "course", "engine", "evolution", "exports", "page", "report")


def test_the_service_runs_if_only_the_library_is_installed(
    serve, tmp_path, names_dir, names_result, talk_dir, talk_result
) -> None:
    site = tmp_path / "site-packages"
    for name in (f"microgpt_{other}" for other in OTHERS):
        hidden = f"raise ModuleNotFoundError('{name} is hidden', name='{name}')\n"
        write_package(site, name.replace("_", "-"), "commands", "", **{name: hidden})
    for name, model in (("names", names_dir), ("talk", talk_dir)):
        shutil.copytree(model, tmp_path / "models" / name)
    server = serve(tmp_path / "models", PYTHONPATH=str(site))
    names, talk = (InferenceGpt(each, engine="reference") for each in (names_result, talk_result))
    bodies = [{"num_samples": n, "seed": n} for n in range(1, 4)]
    for body, reply in zip(bodies, server.at_once("/microgpt/v1/generate", bodies), strict=True):
        assert reply.json["samples"] == names.generate(**body)
    reply = server.chat("hi there", model="talk", seed=3, max_tokens=9)
    assert reply.json["content"] == talk.chat("hi there", seed=3, max_tokens=9).content
    stream = server.openai().completions.create(model="names", prompt="a", seed=5, stream=True)
    (text,) = names.generate(prompt="a", seed=5)
    assert "a" + "".join(part.choices[0].text for part in stream) == text
    assert server.get("/").status == 404
    assert server.get("/docs").status == 200
    assert "install microgpt-engine" in server.log
