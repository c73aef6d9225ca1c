import logging
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from asgi import ask_app
from pydantic import SecretStr

from microgpt import InferenceGpt, Message, load, save
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.errors import MicrogptError
from microgpt.storage.checkpoint import TrainingDirectory
from microgpt_serve import ServiceSettings, create_app
from microgpt_serve.models import ServedModels


@pytest.mark.parametrize(
    "settings",
    [
        {"num_samples": 50, "seed": 2**63 - 1},
        {"num_samples": 7, "temperature": 1e308, "seed": 0},
        {"num_samples": 4, "temperature": 2, "top_k": 3, "prompt": "ann"},
        {"num_samples": 4, "temperature": 2, "top_p": 0.4, "max_tokens": 2},
        {"num_samples": 4, "temperature": 2, "top_k": 9, "top_p": 0.9, "min_p": 0.3},
    ],
)
def test_the_generate_route_returns_the_texts_of_the_library(names, names_result, settings) -> None:
    expected = InferenceGpt(names_result).generate(**settings)
    assert names.generate(**settings).json["samples"] == expected


def test_the_demo_model_is_served_if_there_is_no_other_model(
    microgpt, tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, "microgpt_serve")
    body = {"messages": [{"role": "user", "content": "hello"}], "temperature": 2, "seed": 3}
    chat = ("POST", "/microgpt/v1/chat", {"json": body})
    health, reply = ask_app(create_app(ServiceSettings()), ("GET", "/health", {}), chat)
    assert caplog.messages[0] == "output not found; using the bundled demo model"
    assert health.json()["model"] == "demo"
    demo = bundled(DEMO_MODEL)
    said = microgpt("chat", "hello", "--model", demo, "--temperature", "2", "--seed", "3")
    assert said.stdout == f"{reply.json()['content']}\n"


def test_the_chat_route_returns_the_reply_of_the_library(talk, talk_result) -> None:
    model = InferenceGpt(talk_result)
    contents = ["hi there", "yo man", "h日y"]
    messages = [Message(("user", "assistant")[i % 2], text) for i, text in enumerate(contents)]
    expected = model.chat(messages, seed=3, temperature=2.0)
    assert talk.chat(*contents, seed=3, temperature=2).json == {
        "role": "assistant",
        "content": expected.content,
        "tokens_dropped": 0,
        "unknown_characters": "日",
        "finish_reason": expected.finish_reason,
    }


@pytest.mark.parametrize("roles", ["au", "uu", "uaau"])
def test_chat_accepts_roles_in_any_order_before_the_last_message(talk, talk_result, roles) -> None:
    """Files of conversations are checked more strictly, because models learn from them."""
    messages = [Message("user" if role == "u" else "assistant", "yo") for role in roles]
    expected = InferenceGpt(talk_result).chat(messages, seed=3)
    body = {"messages": [asdict(message) for message in messages], "seed": 3}
    assert talk.request("POST", "/microgpt/v1/chat", body).json["content"] == expected.content


def test_the_chat_route_reports_dropped_tokens_and_finish_reason(talk) -> None:
    reply = talk.chat("hi", "yo", "hi there", "yo man", "hi there", "yo", "hi", max_tokens=1).json
    assert reply["tokens_dropped"] > 0
    assert (len(reply["content"]), reply["finish_reason"]) == (1, "length")


def test_generate_returns_the_number_of_texts_that_the_context_cuts_off(names) -> None:
    body = {"temperature": 3, "seed": 1}
    choices = names.request("POST", "/v1/completions", {"n": 50, **body}).json["choices"]
    n_cut = sum(choice["finish_reason"] == "length" for choice in choices)
    assert names.generate(num_samples=50, **body).json["samples_cut"] == n_cut > 0
    assert "samples_cut" not in names.generate(num_samples=50, max_tokens=2, **body).json


def test_the_health_route_names_the_served_model_and_its_version(names, names_dir) -> None:
    health = names.get("/health").json
    assert health == {"status": "ok", "model": "names", "version": load(names_dir).sha256[:12]}


@pytest.mark.parametrize(
    "path",
    ["/health", "/metrics", "/docs", "/openapi.json", "/v1/models", "/docs/assets/swagger-ui.css"],
)  # fmt: skip
def test_read_only_routes_answer_get_and_head_but_refuse_post(names, path) -> None:
    head, get = (names.request(method, path) for method in ("HEAD", "GET"))
    assert (get.status, head.status, head.body) == (200, 200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    refused = names.request("POST", path, {})
    assert refused.status == 405
    assert {"GET", "HEAD"} <= set(refused.headers["allow"].split(", "))


def test_replies_and_log_lines_contain_a_valid_request_id(names) -> None:
    assert names.get("/health", X_Request_ID="mine-1").headers["x-request-id"] == "mine-1"
    made = names.get("/nowhere").headers["x-request-id"]
    assert names.get("/health", X_Request_ID="a b\tc").headers["x-request-id"] != "a b\tc"
    assert names.wait_for(rf'"GET /nowhere HTTP/1.1" 404 {made}\n')


def test_all_metrics_exist_from_the_start_and_count_requests(names_dir) -> None:
    generate = "/microgpt/v1/generate"
    route = f'route="{generate}"'
    first, health, samples, *_, last = ask_app(
        create_app(ServiceSettings(model_dir=str(names_dir))),
        ("GET", "/metrics", {}),
        ("GET", "/health", {}),
        ("POST", generate, {"json": {"num_samples": 4}}),
        ("POST", generate, {"json": {"num_samples": 51}}),
        ("GET", "/nowhere", {}),
        ("GET", "/metrics", {}),
    )
    before, after = (
        dict(line.rsplit(" ", 1) for line in reply.text.splitlines()) for reply in (first, last)
    )
    assert before.keys() == after.keys()
    n_tokens = sum(len(text) for text in samples.json()["samples"])
    for name, counts in {
        f'microgpt_model_info{{name="names",version="{health.json()["version"]}"}}': (1, 1),
        **{f'microgpt_requests_total{{{route},status="{n}"}}': (0, 1) for n in (200, 400)},
        **{f'microgpt_requests_total{{{route},status="{n}"}}': (0, 0) for n in (503, 504)},
        'microgpt_requests_total{route="unmatched",status="404"}': (0, 1),
        'microgpt_tokens_total{model="names"}': (0, n_tokens),
        f"microgpt_request_seconds_count{{{route}}}": (0, 2),
        "microgpt_queue_length": (0, 0),
    }.items():
        assert (float(before[name]), float(after[name])) == counts, name


CHAT = {"messages": [{"role": "user", "content": "hi"}]}


def test_a_service_below_a_prefix_answers_and_counts_requests(talk_dir) -> None:
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


GENERATE = "/microgpt/v1/generate"


@pytest.fixture
def both(names_dir, talk_dir) -> ServiceSettings:
    return ServiceSettings(model_dir=(f"n={names_dir}", str(talk_dir)))


def test_each_model_is_served_listed_and_counted_by_its_name(both, names_gpt, talk_gpt) -> None:
    asked = {"seed": 3, "prompt": "a", "max_tokens": 4}
    hi = [{"role": "user", "content": "hi"}]
    replies = ask_app(
        create_app(both),
        ("POST", GENERATE, {"json": {"seed": 3}}),
        ("POST", GENERATE, {"json": {"seed": 3, "model": "talk"}}),
        ("POST", "/v1/completions", {"json": {**asked, "model": "n"}}),
        ("POST", "/microgpt/v1/chat", {"json": {"messages": hi, "model": "talk"}}),
        ("POST", "/v1/chat/completions", {"json": {"messages": hi, "model": "talk", "seed": 42}}),
        ("POST", "/microgpt/v1/generate", {"json": {"model": "talk", "prompt": "Z"}}),
        ("GET", "/v1/models", {}),
        ("GET", "/metrics", {}),
    )
    assert [reply.status_code for reply in replies] == [200] * 5 + [400] + [200] * 2
    first, second, completion, chat, openai_chat = (reply.json() for reply in replies[:5])
    assert first["samples"] == names_gpt.generate(seed=3)
    assert second["samples"] == talk_gpt.generate(seed=3)
    assert completion["choices"][0]["text"] == names_gpt.generate(seed=3, prompt="a")[0][1:5]
    assert (completion["model"], openai_chat["model"]) == ("n", "talk")
    assert chat["content"] == openai_chat["choices"][0]["message"]["content"]
    listed, metrics = replies[6:]
    assert [each["id"] for each in listed.json()["data"]] == ["n", "talk"]
    for name in ("n", "talk"):
        assert re.search(rf'tokens_total{{model="{name}"}} [1-9]', metrics.text)


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "/v1/completions", {"json": {"model": "gpt-5"}}),
        ("POST", GENERATE, {"json": {"model": "gpt-5"}}),
        ("GET", "/?model=gpt-5", {}),
    ],
)
def test_a_404_for_an_unknown_model_lists_the_served_models(both, method, path, more) -> None:
    if method == "GET":
        pytest.importorskip("microgpt_page")
    (reply,) = ask_app(create_app(both), (method, path, more))
    message = "model 'gpt-5' does not exist; use n or talk"
    openai = {"message": message, "type": "invalid_request_error", "param": "model"}
    body = {**openai, "code": "model_not_found"} if path.startswith("/v1/") else message
    assert (reply.status_code, reply.json()) == (404, {"error": body})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("names=", "names= must be NAME=DIR, such as names=output"),
        (("names", "a/names"), "names and a/names have the same name, names; choose names with"),
        (("names", "nowhere"), "nowhere does not exist; use a directory"),
        (("",), "'' does not exist; use a directory"),
        (("names", "bad"), "bad/weights.json does not"),
    ],
)
def test_invalid_or_ambiguous_model_directories_are_refused(
    names_dir, tmp_path, monkeypatch, given, problem
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("names", "a/names", "bad"):
        shutil.copytree(names_dir, place)
    Path("bad/weights.json").write_text("{}")
    with pytest.raises(MicrogptError, match=f"^{re.escape(problem)}"):
        ServedModels.load(ServiceSettings(model_dir=given))


def test_the_checkpoint_of_a_run_is_served_until_it_ends(tmp_path, names_result, caplog) -> None:
    caplog.set_level(logging.INFO, "microgpt_serve")
    directory, settings = tmp_path / "model", ServiceSettings(model_dir=str(tmp_path / "model"))
    result = replace(names_result, plan=replace(names_result.plan, input=Path("names.txt")))
    with TrainingDirectory(directory) as training:
        training.keep(result.plan, result.state)
        served = ServedModels.load(settings).find(None)
        training.finish(result)
    assert served.saved.progress == "at step 60 of 60"
    assert caplog.messages == [
        f"the training run in {directory} is unfinished; using its model at step 60 of 60"
    ]
    ended = ServedModels.load(settings).find(None)
    assert (ended.saved.progress, len(caplog.messages)) == (None, 1)
    assert ended.version != served.version


def test_a_context_that_takes_too_much_memory_is_shortened(tmp_path, names_result, caplog) -> None:
    caplog.set_level(logging.INFO, "microgpt_serve")
    config = replace(names_result.model, architecture="modern", block_size=10**6)
    weights = {name: rows for name, rows in names_result.weights.items() if name != "wpe"}
    save(replace(names_result, model=config, weights=weights), tmp_path / "long")
    served = ServedModels.load(ServiceSettings(model_dir=str(tmp_path / "long"))).find(None)
    length = served.gpt.config.block_size
    assert 30_000 < length < 32_000  # about 1 kB per token, of 32 MiB
    assert caplog.messages == [
        f"the context of 1,000,000 tokens is too long; using {length:,} tokens"
    ]
