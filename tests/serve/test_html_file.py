import asyncio
import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgi import ask_app

from microgpt import ModelConfig, TrainConfig, load, save
from microgpt.errors import ConfigError
from microgpt.training.train import train
from microgpt_serve import Settings, create_app, html_file
from microgpt_serve.routes.status import PIECE, in_pieces
from microgpt_serve.served_model import served_model


def served(result, directory):
    """Return the model of a training, as the service has it."""
    save(result, directory)
    return loaded(directory)


def loaded(directory):
    return served_model(load(directory), directory, lambda line: None)


class Page(HTMLParser):
    """The elements of a page, with their attributes, and the content of those that are data."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.content: dict[str, str] = {}
        self.name = ""
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.name = dict(attrs).get("id") or tag

    def handle_endtag(self, tag):
        self.name = ""

    def handle_data(self, data):
        self.content[self.name] = self.content.get(self.name, "") + data

    @property
    def model(self) -> dict:
        """The facts on the model."""
        data = zlib.decompress(base64.b64decode(self.content["model-data"]))
        return json.loads(data.partition(b"\n")[0])


@pytest.fixture(scope="module")
def names_page(names_dir) -> bytes:
    return loaded(names_dir).html


def test_the_html_file_loads_nothing_from_elsewhere(names_page) -> None:
    page = Page(names_page)
    (policy,) = [
        each["content"] for tag, each in page.elements if tag == "meta" and "http-equiv" in each
    ]
    for kind in ("script", "style"):
        digest = hashlib.sha256(page.content[kind].encode()).digest()
        assert f"{kind}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "connect-src" not in policy
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            link = attributes.get(name) or "#"
            assert link.startswith(("#", "data:")), (tag, link)
    assert not re.search(
        rb"(?<!xmlns=.)https?://|service|docs", names_page.partition(b"<script")[0]
    )
    assert "25,344 weights in half precision (float16)" in page.content["footer"]
    assert page.model["model"]["name"] == "names"


def test_the_html_file_in_the_docs_has_the_current_scripts() -> None:
    """`docs/make_playground_pictures.py` makes it again."""
    page = Page((Path(__file__).parents[2] / "docs/models/names.html").read_bytes())
    assert page.content["script"] == html_file.joined("main.js")
    engine = zlib.decompress(base64.b64decode(page.content["engine-code"])).decode()
    assert engine == html_file.joined("local/worker.js")


def test_the_same_model_gives_the_same_file(names_page, names_dir) -> None:
    assert loaded(names_dir).html == names_page


def test_the_html_file_escapes_the_data_of_a_hostile_model(tmp_path) -> None:
    hostile = "</script><script>alert(1)</script><!--\u2028\"'&<\ud800".encode(
        "utf-8", "replace"
    ).decode()
    result = train([hostile], model=ModelConfig(n_embd=4), config=TrainConfig(steps=1))
    page = Page(served(result, tmp_path / "<img src=x onerror=alert(1)>").html)
    assert [tag for tag, _ in page.elements].count("script") == 5
    assert "img" not in [tag for tag, _ in page.elements]
    assert set(page.model["model"]["characters"]) == set(hostile)


def test_a_model_that_is_too_large_is_refused(names_result, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(html_file, "MAX_BYTES", 2**12)
    with pytest.raises(
        ConfigError, match=r"too large for a page: its [0-9,]+ weights take 0 MiB in half"
    ):
        _ = served(names_result, tmp_path / "names").html
    app = create_app(Settings(), loaded(tmp_path / "names"))
    (reply,) = ask_app(app, ("GET", "/microgpt/v1/model.html", {}))
    assert reply.status_code == 404
    assert reply.json()["error"].startswith("the model is too large for a page")


@pytest.mark.parametrize("change", ["tie", "overflow"])
def test_single_precision_is_kept_if_half_changes_a_token(names_result, tmp_path, change) -> None:
    weights = {name: np.array(rows) for name, rows in names_result.weights.items()}
    if change == "tie":  # the second token is always slightly likelier than the first
        for matrix in weights.values():
            matrix[:] = 0
        weights["wte"][:], weights["lm_head"][0], weights["lm_head"][1] = 1, 1, 1.0001
    else:
        weights["lm_head"][0, 0] = 1e5
    rows = {name: matrix.tolist() for name, matrix in weights.items()}
    page = Page(served(replace(names_result, weights=rows), tmp_path / "names").html)
    assert page.model["dtype"] == "float32"
    assert "weights in single precision (float32)" in page.content["footer"]


def test_the_model_html_route_returns_the_html_file(names, names_page) -> None:
    reply = names.get("/microgpt/v1/model.html")
    assert (reply.status, reply.body) == (200, names_page)
    assert reply.headers["content-disposition"] == "attachment; filename*=utf-8''names.html"
    assert names.request("HEAD", "/microgpt/v1/model.html").status == 200


def test_the_html_file_is_sent_in_chunks() -> None:
    body, sent = bytes(range(256)) * 600, []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return await asyncio.Future()  # the client neither sends nor disconnects

    asyncio.run(in_pieces(body, "text/html", {})({"type": "http"}, receive, send))
    assert (b"content-length", str(len(body)).encode()) in sent[0]["headers"]
    pieces = [each["body"] for each in sent[1:]]
    assert b"".join(pieces) == body
    assert [len(each) for each in pieces] == [PIECE, PIECE, len(body) - 2 * PIECE, 0]
    assert [each["more_body"] for each in sent[1:]] == [True, True, True, False]


def test_a_cached_html_file_takes_no_place_in_the_queue(names_dir, names_page) -> None:
    served = loaded(names_dir)
    app = create_app(Settings(), served)
    assert served.html == names_page
    app.state.app_state.work.submit = None
    (reply,) = ask_app(app, ("GET", "/microgpt/v1/model.html", {}))
    assert reply.content == names_page


def test_a_service_with_keys_does_not_serve_the_model_file(serve, names_dir) -> None:
    server = serve(names_dir, MICROGPT_API_KEY="secret")
    reply = server.get("/microgpt/v1/model.html", authorization="Bearer secret")
    assert reply.status == 404
    assert "its model cannot be downloaded" in reply.json["error"]
    assert server.get("/microgpt/v1/model.html").status == 401
