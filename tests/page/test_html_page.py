"""Tests of the HTML page of a model, and of the smaller HTML file that `export` writes."""

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from microgpt import ModelConfig, TrainConfig, load, save
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.errors import ConfigError
from microgpt.learning_rate import default_lr
from microgpt.training.train import train
from microgpt_page.html_export import file_to_give
from microgpt_page.html_page import WEB, document, joined, policy

MAX_BYTES = {"models/names": 500_000, DEMO_MODEL: 1_200_000}  # maximum size of each HTML file


class Page(HTMLParser):
    """The elements of a page with their attributes, and the content of its data elements."""

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
        """The metadata in the model file of the page."""
        data = zlib.decompress(base64.b64decode(self.content["model-data"]))
        return json.loads(data.partition(b"\n")[0])


@pytest.fixture(scope="module")
def names_page(names_dir) -> bytes:
    return document(load(names_dir), "names")


def test_a_models_page_loads_no_files_and_links_to_no_sites(names_page) -> None:
    page = Page(names_page)
    (written,) = [
        each["content"] for tag, each in page.elements if tag == "meta" and "http-equiv" in each
    ]
    assert written == policy()
    for kind in ("script", "style"):
        digest = hashlib.sha256(page.content[kind].encode()).digest()
        assert f"{kind}-src 'sha256-{base64.b64encode(digest).decode()}'" in written
    assert written.startswith("default-src 'none'; ")
    assert "connect-src" not in written
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            link = attributes.get(name) or "#"
            assert link.startswith(("#", "data:")), (tag, link)
    assert not re.search(
        rb"(?<!xmlns=.)https?://|service|docs", names_page.partition(b"<script")[0]
    )
    for file in filter(Path.is_file, WEB.rglob("*")):
        assert not re.findall(r"(?<!xmlns=.)https?://", file.read_text("utf-8"))


def test_the_page_of_a_model_links_to_other_models(names_dir) -> None:
    content = document(load(names_dir), "names", ["a&b", "<c>/d"])
    links = [each.get("href") or "#" for tag, each in Page(content).elements if tag == "a"]
    links = [link for link in links if not link.startswith("#")]
    assert links == ["?model=a%26b", "?model=%3Cc%3E%2Fd"]
    assert b">a&amp;b</a>" in content


def test_the_html_file_in_the_docs_has_the_current_scripts() -> None:
    """If this test fails, run `docs/make_playground_pictures.py`."""
    page = Page((Path(__file__).parents[2] / "docs/models/names.html").read_bytes())
    assert page.content["script"] == joined("main.js")
    engine = zlib.decompress(base64.b64decode(page.content["engine-code"])).decode()
    assert engine == joined("engine/worker.js")


def test_the_page_of_a_hostile_model_escapes_its_data(tmp_path) -> None:
    hostile = "</script><script>alert(1)</script><!--\u2028\"'&<?"
    save(train([hostile], model=ModelConfig(n_embd=4), config=TrainConfig(steps=1)), tmp_path / "a")
    page = Page(document(load(tmp_path / "a"), "<img src=x onerror=alert(1)>"))
    tags = [tag for tag, _ in page.elements]
    assert (tags.count("script"), tags.count("img")) == (5, 0)
    assert set(page.model["model"]["characters"]) == set(hostile)


@pytest.mark.parametrize(
    ("make", "limit"), [(document, "at most 20 MB"), (file_to_give, "at most 16,777,216")]
)
def test_a_model_too_large_for_a_page_is_refused(names_dir, make, limit) -> None:
    large = replace(load(names_dir), model=ModelConfig(n_embd=1280, vocab_size=27))
    with pytest.raises(ConfigError, match=rf"too large for a page: .*19,750,400 weights.*{limit}"):
        make(large, "large")


@pytest.mark.parametrize(
    ("change", "precision"),
    [
        (None, "half precision (float16)"),
        ("tie", "single precision (float32)"),
        ("overflow", "single precision (float32)"),
    ],
)
def test_page_weights_are_float16_if_that_keeps_greedy_tokens(names_dir, change, precision) -> None:
    saved = load(names_dir)
    weights = {name: np.array(rows) for name, rows in saved.weights.items()}
    if change == "tie":  # the second token is slightly likelier, but not in float16
        for matrix in weights.values():
            matrix[:] = 0
        weights["wte"][:], weights["lm_head"][0], weights["lm_head"][1] = 1, 1, 1.0001
    elif change:
        weights["lm_head"][0, 0] = 1e5
    rows = {name: matrix.tolist() for name, matrix in weights.items()}
    page = Page(file_to_give(replace(saved, weights=rows), "names"))
    assert f"({page.model['dtype']})" in precision
    assert f"25,344 weights in {precision}" in page.content["footer"]


@pytest.mark.parametrize("model", MAX_BYTES)
def test_the_page_of_a_bundled_model_stays_below_its_size_limit(model) -> None:
    assert len(file_to_give(load(bundled(model)), "model")) <= MAX_BYTES[model]


def test_the_page_sources_use_no_unsafe_html_methods_or_eval() -> None:
    for file in filter(Path.is_file, WEB.rglob("*")):
        text = file.read_text("utf-8")
        for unsafe in ("innerHTML", "outerHTML =", "insertAdjacentHTML", "document.write", "eval("):
            assert unsafe not in text, file


@pytest.mark.parametrize(
    "training", [{"optimizer": "lion"}, {"lr": "fast"}, {"weight_decay": [1]}, {"text": "verse"}]
)
def test_a_page_replaces_invalid_training_settings_with_defaults(names_dir, training) -> None:
    saved = load(names_dir)
    meta = saved.meta.model_copy(update={"training": saved.meta.training | training})
    step = Page(document(replace(saved, meta=meta), "names")).model["step"]
    (name,) = training
    assert step[name] in (getattr(TrainConfig(), name), default_lr(saved.model.n_embd))
