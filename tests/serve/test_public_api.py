import re
from pathlib import Path

import pytest
import uvicorn
from asgi import ask_app
from packages import write_package

import microgpt_serve
from microgpt import InferenceGpt, save

README = Path(__file__).resolve().parents[2] / "apis/microgpt_serve/README.md"


def test_the_public_names_can_be_imported() -> None:
    assert microgpt_serve.__all__ == ["ServiceSettings", "create_app"]
    assert all(getattr(microgpt_serve, name) for name in microgpt_serve.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = microgpt_serve.nothing


def test_the_example_in_the_readme_serves_the_model(
    monkeypatch, tmp_path, names_result, names_gpt
) -> None:
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


def test_the_service_needs_only_the_library(
    serve, tmp_path, names_dir, names_result, talk_dir, talk_result
) -> None:
    site = tmp_path / "site-packages"
    for name in (f"microgpt_{other}" for other in OTHERS):
        hidden = f"raise ModuleNotFoundError('{name} is hidden', name='{name}')\n"
        write_package(site, name.replace("_", "-"), "commands", "", **{name: hidden})
    server = serve(f"names={names_dir},talk={talk_dir}", PYTHONPATH=str(site))
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
