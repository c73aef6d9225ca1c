import re
from dataclasses import asdict

import pytest
from asgi import ask_app

from microgpt import InferenceGpt, Message, load
from microgpt_serve import ServiceSettings, create_app


@pytest.mark.parametrize(
    "settings",
    [
        {"num_samples": 50, "seed": 2**63 - 1},
        {"num_samples": 7, "temperature": 1e308, "seed": 0},
        {"num_samples": 4, "temperature": 2, "top_k": 3, "prompt": "ann"},
        {"num_samples": 4, "temperature": 2, "top_p": 0.4, "max_tokens": 2},
    ],
)
def test_generate_returns_the_same_texts_as_the_library(names, names_result, settings) -> None:
    expected = InferenceGpt(names_result).generate(**settings)
    assert names.generate(**settings).json["samples"] == expected


def test_the_demo_model_is_served_if_there_is_no_other_model(serve, microgpt) -> None:
    server = serve()
    assert "output not found; using the bundled demo model" in server.log
    assert "serving demo (chat, " in server.log
    assert server.get("/health").json["model"] == "demo"
    for seed in range(3):
        said = microgpt("chat", "hello", "--temperature", "2", "--seed", str(seed))
        reply = server.chat("hello", temperature=2, seed=seed).json
        assert said.stdout == f"{reply['content']}\n"


def test_chat_returns_the_same_reply_as_the_library(talk, talk_result) -> None:
    model = InferenceGpt(talk_result)
    contents = ["hi there", "yo man", "h日y"]
    roles = ("user", "assistant")
    messages = [Message(roles[i % 2], text) for i, text in enumerate(contents)]
    expected = model.chat(messages, seed=3, temperature=2.0)
    assert talk.chat(*contents, seed=3, temperature=2).json == {
        "role": "assistant",
        "content": expected.content,
        "tokens_dropped": 0,
        "unknown_characters": "日",
        "finish_reason": expected.finish_reason,
    }


@pytest.mark.parametrize("roles", ["au", "uu", "uaau"])
def test_chat_accepts_messages_in_any_order_before_the_last(talk, talk_result, roles) -> None:
    """A file of conversations is read more strictly: what stands in it is learnt."""
    messages = [Message("user" if role == "u" else "assistant", "yo") for role in roles]
    expected = InferenceGpt(talk_result).chat(messages, seed=3)
    body = {"messages": [asdict(message) for message in messages], "seed": 3}
    assert talk.request("POST", "/microgpt/v1/chat", body).json["content"] == expected.content


def test_chat_reports_dropped_turns_and_the_finish_reason(talk) -> None:
    reply = talk.chat("hi", "yo", "hi there", "yo man", "hi there", "yo", "hi", max_tokens=1).json
    assert reply["tokens_dropped"] > 0
    assert (len(reply["content"]), reply["finish_reason"]) == (1, "length")


def test_generate_says_how_many_texts_end_at_the_context(names) -> None:
    body = {"temperature": 3, "seed": 1}
    choices = names.request("POST", "/v1/completions", {"n": 50, **body}).json["choices"]
    n_cut = sum(choice["finish_reason"] == "length" for choice in choices)
    assert names.generate(num_samples=50, **body).json["samples_cut"] == n_cut > 0
    assert "samples_cut" not in names.generate(num_samples=50, max_tokens=2, **body).json


def test_the_health_route_names_the_served_model(names, names_dir) -> None:
    health = names.get("/health").json
    version = load(names_dir).sha256[:12]
    assert health == {"status": "ok", "model": "names", "version": version}


def test_a_subword_model_can_be_served(shared, subword_dir, subword_result) -> None:
    server, gpt = shared(subword_dir), InferenceGpt(subword_result)
    text = "<|end_turn|> é 👩‍🚀"
    for temperature in (0, 1.5):
        reply = server.chat(text, temperature=temperature, seed=3).json
        expected = gpt.chat([Message("user", text)], temperature=temperature, seed=3)
        assert reply == {"role": "assistant", **asdict(expected)}
        assert reply["unknown_characters"] == ""
    settings = {"num_samples": 5, "temperature": 1.5, "prompt": "漢"}
    assert server.generate(**settings).json["samples"] == gpt.generate(**settings)
    for n, n_tokens in ((99, 2 + 198), (9999, 2 + 19998)):
        reply = server.generate(prompt="é" * n)
        assert reply.json["tokens_dropped"] == n_tokens - 25


def test_the_openapi_schema_has_the_shape_of_errors(names) -> None:
    pages = names.get("/openapi.json").json["paths"]
    for operations in pages.values():
        for operation in operations.values():
            assert set(operation["responses"]) == {"200", "default"}
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/ErrorResponse"}
    assert pages["/health"]["get"]["security"] == []


@pytest.mark.parametrize(
    "path",
    ["/health", "/metrics", "/docs", "/openapi.json", "/v1/models", "/docs/assets/swagger-ui.css"],
)  # fmt: skip
def test_a_head_request_returns_the_headers_of_a_get_request(names, path) -> None:
    head, get = (names.request(method, path) for method in ("HEAD", "GET"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    refused = names.request("POST", path, {})
    assert refused.status == 405
    assert {"GET", "HEAD"} <= set(refused.headers["allow"].split(", "))


def test_every_reply_has_a_request_id_and_a_log_line(names) -> None:
    given = names.get("/health", X_Request_ID="mine-1").headers["x-request-id"]
    assert given == "mine-1"
    made = names.get("/nowhere").headers["x-request-id"]
    forged = names.get("/health", X_Request_ID="a b\tc").headers["x-request-id"]
    assert forged != "a b\tc"
    assert names.wait_for(rf'"GET /nowhere HTTP/1.1" 404 {made}\n')


def test_all_metrics_exist_from_the_start_and_count_requests(names_dir) -> None:
    def found(metrics: str, name: str) -> float:
        return float(re.search(rf"^{re.escape(name)} (\S+)$", metrics, re.MULTILINE)[1])

    route = 'route="/microgpt/v1/generate"'
    generate = "/microgpt/v1/generate"
    first, health, samples, *_, last = ask_app(
        create_app(ServiceSettings(model_dir=str(names_dir))),
        ("GET", "/metrics", {}),
        ("GET", "/health", {}),
        ("POST", generate, {"json": {"num_samples": 4}}),
        ("POST", generate, {"json": {"num_samples": 51}}),
        ("GET", "/nowhere", {}),
        ("GET", "/metrics", {}),
    )
    before, after = first.text, last.text
    for status in (200, 400, 503, 504):
        assert found(before, f'microgpt_requests_total{{{route},status="{status}"}}') == 0
    version = health.json()["version"]
    assert found(before, f'microgpt_model_info{{name="names",version="{version}"}}') == 1
    n_tokens = sum(len(text) for text in samples.json()["samples"])
    for status in (200, 400):
        assert found(after, f'microgpt_requests_total{{{route},status="{status}"}}') == 1
    assert found(after, 'microgpt_requests_total{route="unmatched",status="404"}') == 1
    assert found(after, 'microgpt_tokens_total{model="names"}') == n_tokens
    assert found(after, f"microgpt_request_seconds_count{{{route}}}") == 2
    assert found(after, "microgpt_queue_length") == 0
    names = [{line.split(" ")[0] for line in text.splitlines()} for text in (before, after)]
    assert names[0] == names[1]
