"""Whatever a client sends, it gets JSON in one shape, soon, and never a 500."""

import json

import pytest

from microgpt_serve.routes import MAX_BODY_BYTES

GENERATE, CHAT = "/microgpt/v1/generate", "/microgpt/v1/chat"
HI = {"role": "user", "content": "hi"}


def assert_error(reply, status: int, text: str | None = None) -> None:
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/json"
    assert list(reply.json) == ["error"]
    assert "Traceback" not in reply.json["error"]
    assert "/home" not in reply.json["error"]
    if text is not None:
        assert text in reply.json["error"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"temperature": -0.5}, "temperature must be greater than or equal to 0, got -0.5"),
        ({"temperature": "0.5"}, 'temperature must be a number, got "0.5"'),
        ({"num_samples": 51}, "num_samples must be less than or equal to 50, got 51"),
        ({"num_samples": 50, "prompt": "a" * 30_000}, "must be at most 1048576, got 1500000"),
        ({"num_samples": 1.5}, "num_samples must be an integer, got 1.5"),
        ({"seed": 2**63}, "seed must be less than 9223372036854775808"),
        ({"seed": 10**3000}, "seed must be"),
        ({"prompt": 5}, "prompt must be a string, got 5"),
        ({"prompt": "aZé"}, "prompt: the vocabulary does not contain 'Z', 'é'"),
        ({"max_tokens": 16_385}, "max_tokens must be less than or equal to 16384, got 16385"),
        ({"stop": ["a"]}, "stop is an unknown field; use model, top_p, "),
        ([], "the body must be an object"),
    ],
)
def test_an_error_from_generate_names_the_field_and_its_limit(names, body, problem) -> None:
    kind = {"Content_Type": "application/json"}
    assert_error(names.request("POST", GENERATE, json.dumps(body), **kind), 400, problem)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"messages": 5}, "messages must be a list, got 5"),
        ({"messages": [HI, {**HI, "role": "bot"}]}, "messages[1].role must be 'user', 'assistant'"),
        ({"messages": [HI, {**HI, "role": "assistant"}]}, "messages must end with a message of"),
        ({"messages": [{**HI, "content": None}]}, "[0].content must not be empty, got null"),
        ({"messages": [{**HI, "role": "\x7f\x9b"}]}, r'got "\x7f\x9b"'),
        ({"messages": [{**HI, "role": None}]}, "messages[0].role must be 'user', 'assistant'"),
        ({"messages": [{**HI, "task": "greet"}]}, "task is an unknown field; use role, content"),
        ({"messages": [None]}, "messages[0] must be an object"),
        ({"messages": [{**HI, "content": "h" * 40}]}, "the message has 40 characters; at most"),
        ({"messages": [{**HI, "content": "日 本"}]}, "no character of the message is in the voc"),
        ({"messages": [HI], "num_samples": 2}, "num_samples is an unknown field"),
    ],
)
def test_an_error_from_chat_names_the_message_and_the_field(talk, body, problem) -> None:
    assert_error(talk.request("POST", CHAT, body), 400, problem)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"temperature": NaN}',
        b'{"temperature": 1e999}',
        b'{"prompt": "\\ud800"}',
        b'{"messages": [{"role": "user", "content": "\\ud83d"}]}',
        b'{"prompt": "\xff"}',
        b'{"prompt": "\x00"}',
        b"\xef\xbb\xbf{}",
        b"[" * 16_000,
        b'{"a":' * 8_000,
        b'{"seed": ' + b"9" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_with_invalid_json_is_refused(talk, body) -> None:
    page = CHAT if b"messages" in body else GENERATE
    assert_error(talk.request("POST", page, body, Content_Type="application/json"), 400)


def test_an_integer_field_may_have_a_decimal_point(names) -> None:
    pointed = names.generate(num_samples=2.0, seed=7.0)
    assert pointed.json == names.generate(num_samples=2, seed=7).json


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_a_body_without_the_json_content_type_gets_a_415(names, kind) -> None:
    assert_error(names.request("POST", GENERATE, b"{}", Content_Type=kind), 415)


def test_unknown_paths_get_a_404_and_unknown_methods_a_405(names) -> None:
    assert_error(
        names.get("/nowhere"), 404, "/nowhere does not exist; use one of POST /microgpt/v1"
    )
    assert_error(names.get("/v2"), 404, "POST /v1/chat/completions")
    assert_error(names.get("/v2"), 404, "GET /v1/models/{name}")
    assert_error(names.get("/v2"), 404, "GET /openapi.json")
    assert_error(names.get("/microgpt/v1/generate/"), 404)
    assert_error(names.get("/%00%ff/../../etc/passwd"), 404)
    reply = names.get(GENERATE)
    assert_error(reply, 405, "does not support GET")
    assert reply.headers["allow"] == "POST"
    assert_error(names.request("DELETE", "/health"), 405)


def test_a_body_larger_than_the_limit_gets_a_413(names) -> None:
    body = b'{"prompt": "%s"}' % (b"a" * MAX_BODY_BYTES)
    kind = {"Content_Type": "application/json"}
    assert_error(names.request("POST", GENERATE, body, **kind), 413, "larger than 1048576 bytes")


def test_a_reply_can_report_thousands_of_unknown_characters(talk) -> None:
    wide = [{"role": "user", "content": "".join(map(chr, range(0x4E00, 0x9FFF)))}, HI]
    assert len(talk.request("POST", CHAT, {"messages": wide}).json["unknown_characters"]) > 20_000


def test_the_json_content_type_may_declare_a_charset(names) -> None:
    kind = "Application/JSON; charset=utf-8"
    assert names.request("POST", GENERATE, b"{}", Content_Type=kind).status == 200


def test_a_body_may_arrive_in_many_pieces(names) -> None:
    head = f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"seed": 7}' + b" " * 20_000)
    received = names.raw(chunked + pieces + b"0\r\n\r\n")
    assert json.loads(received.partition(b"\r\n\r\n")[2]) == names.generate(seed=7).json


def test_a_forwarded_address_cannot_forge_a_log_line(names) -> None:
    assert names.get("/health", X_Forwarded_For="1.2.3.4 GET /forged 200\x85again").status == 200
    names.wait_for(r"Z 1\.2\.3\.4 GET /forged 200\\x85again:\d+ - .GET /health HTTP/1.1. 200")


def test_an_unknown_path_is_escaped_in_the_error(names) -> None:
    assert_error(names.get("/%0d%0aX:1%C2%9b"), 404, r"/\r\nX:1\x9b does not exist; use")
