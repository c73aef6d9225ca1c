import re
from pathlib import Path

import pytest
import uvicorn
from asgi import ask_app

import microgpt_serve
from microgpt import save

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
