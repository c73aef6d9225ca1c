"""GET /, the page of a model."""

from urllib.parse import quote

import pytest
from asgi import ask_app

from microgpt import load
from microgpt_serve import ServiceSettings, create_app

KEY = {"Authorization": "Bearer secret"}
MODEL_DATA = '<script type="text/plain" id="model-data">'


def test_without_the_key_no_answer_depends_on_the_model(names_dir, talk_dir) -> None:
    paths = (
        "/", "/?model=names", "/?model=x", "/docs", "/health", "/health?model=names",
        "/openapi.json", "/docs/assets/swagger-ui-bundle.js", "/docs/assets/x", "/nowhere",
        "/metrics", "/v1/models", "/v1/models/names",
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


def test_a_service_with_a_broken_page_names_the_package(names_dir, install) -> None:
    install("microgpt-page", "pages", "document = broken:page", broken="import nosuchmodule")
    page, other = ask_app(
        create_app(ServiceSettings(model_dir=str(names_dir))),
        ("GET", "/", {}),
        ("GET", "/v1/models", {}),
    )
    assert (page.status_code, other.status_code) == (500, 200)
    assert page.json()["error"].startswith("microgpt-page cannot be imported")


def test_a_service_without_a_page_refers_to_its_docs(names_dir, install) -> None:
    install("microgpt-page", "pages", "")  # it hides the package of this name
    app = create_app(ServiceSettings(model_dir=str(names_dir)))
    page, docs = ask_app(app, ("GET", "/", {}), ("GET", "/docs", {}))
    assert (page.status_code, docs.status_code) == (404, 200)
    assert "/docs" in page.json()["error"]


@pytest.mark.slow
def test_a_model_that_is_too_large_for_a_page_is_not_sent(slow_dir, talk_dir) -> None:
    page = pytest.importorskip("microgpt_page.document")
    page.document(load(talk_dir), "talk")  # which compiles the engine of a page, if need be
    app = create_app(ServiceSettings(model_dir=(str(slow_dir), f"talk & co={talk_dir}")))
    large, other = ask_app(app, ("GET", "/", {}), ("GET", "/?model=talk%20%26%20co", {}))
    assert large.status_code == 200
    assert "at most 20 MB" in large.text
    assert MODEL_DATA not in large.text
    assert f'href="?model={quote("talk & co")}"' in large.text
    assert MODEL_DATA in other.text
