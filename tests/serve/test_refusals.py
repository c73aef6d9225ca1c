"""Tests that invalid requests get a JSON error in the format of their API, and never a 500."""

import json
import re
from typing import Any

import pytest

from microgpt_serve.encoding import MAX_CHARACTERS

GENERATE, CHAT = "/microgpt/v1/generate", "/microgpt/v1/chat"
COMPLETIONS, OPENAI_CHAT = "/v1/completions", "/v1/chat/completions"
HI = {"role": "user", "content": "hi"}
JSON = {"Content_Type": "application/json"}
CODES = {"is not supported; ": "unsupported_parameter", "unknown field": "unknown_parameter"}


def refused(server, path: str, body: Any = None, status: int = 400, **headers: str) -> Any:
    """Return the error of a refused request: a sentence, or an error object of OpenAI's API."""
    reply = server.request("GET" if body is None else "POST", path, body, **headers)
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/json"
    assert list(reply.json) == ["error"]
    assert not re.search("Traceback|/home", reply.message)
    error = reply.json["error"]
    if path.startswith("/v1/"):
        assert set(error) == {"message", "type", "param", "code"}
        for words, code in CODES.items():
            assert (error["code"] == code) == (words in reply.message)
    else:
        assert error == reply.message
    return error


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"temperature": -0.5}, "temperature must be greater than or equal to 0, got -0.5"),
        ({"temperature": "0.5"}, 'temperature must be a number, got "0.5"'),
        ({"num_samples": 51}, "num_samples must be less than or equal to 50, got 51"),
        ({"num_samples": 50, "prompt": "a" * 30_000}, "must be at most 1048576, got 1500000"),
        ({"num_samples": 1.5}, "num_samples must be an integer, got 1.5"),
        ({"seed": 2**63}, "seed must be less than 9223372036854775808"),
        ({"prompt": 5}, "prompt must be a string, got 5"),
        ({"prompt": "aZé"}, "prompt: the vocabulary does not contain 'Z', 'é'"),
        ({"prompt": "a" * (MAX_CHARACTERS + 1)}, f"must be at most {MAX_CHARACTERS}, got 131073"),
        ({"max_tokens": 16_385}, "max_tokens must be less than or equal to 16384, got 16385"),
        ({"stop": ["a"]}, "stop is an unknown field; use model, top_p, "),
        ([], "the body must be an object"),
        ({"messages": 5}, "messages must be a list, got 5"),
        ({"messages": [HI, {**HI, "role": "bot"}]}, "messages[1].role must be 'user', 'assistant'"),
        ({"messages": [HI, {**HI, "role": "assistant"}]}, "the last message must be from the user"),
        ({"messages": [{**HI, "content": None}]}, "[0].content must not be empty, got null"),
        ({"messages": [{**HI, "role": "\x7f\x9b"}]}, r'got "\x7f\x9b"'),
        ({"messages": [{**HI, "task": "greet"}]}, "task is an unknown field; use role, content"),
        ({"messages": [None]}, "messages[0] must be an object"),
        ({"messages": [{**HI, "content": "h" * 40}]}, "the message has 40 characters; at most"),
        ({"messages": [{**HI, "content": "日 本"}]}, "no character of the message is in the voc"),
    ],
)
def test_the_error_for_an_invalid_request_says_what_is_wrong(request, body, problem) -> None:
    name, path = ("talk", CHAT) if "messages" in body else ("names", GENERATE)
    assert problem in refused(request.getfixturevalue(name), path, body)


@pytest.mark.parametrize(
    ("fields", "message", "field"),
    [
        ({"n": 51}, "n must be less than or equal to 50, got 51", "n"),
        ({"seed": -(2**63) - 1}, "seed must be greater than or equal to -92233720", "seed"),
        ({"stop": ""}, "stop must be 1 to 1024 characters, or a list of at most 4", "stop"),
        ({"stop": ["a" * 1025]}, "stop must be 1 to 1024 characters", "stop"),
        ({"stop": list("abcde")}, "a list of at most 4 such strings, got a list", "stop"),
        ({"stream": 1}, "stream must be true or false, got 1", "stream"),
        ({"stream_options": {"x": 1}}, "unknown field; use include_usage", "stream_options.x"),
        ({"frequency_penalty": 0.5}, "is not supported; omit it", "frequency_penalty"),
        ({"colour": "blue"}, "colour is an unknown field; use model, ", "colour"),
        ({"logprobs": 0}, "logprobs is not supported; omit it", "logprobs"),
        ({"prompt": 5}, "prompt must be a string, a list of token ids", "prompt"),
        ({"prompt": "Anna"}, "try lower case: 'anna'", "prompt"),
        ({"prompt": ["an", "Lo", "Eva"]}, "try lower case: 'lo'", "prompt[1]"),
        ({"prompt": ["Lo", "日"]}, "try lower case: 'lo'", "prompt[0]"),
        ({"n": 30, "prompt": ["a", "b"]}, "n times the number of prompts must be at most 50", "n"),
        ([], "the body must be an object", None),
        ({"messages": [HI]}, "this is not a chat model; use /microgpt/v1/generate", "model"),
        ({"role": "tool"}, "'system' or 'developer', got \"tool\"", "messages[0].role"),
        ({"role": "system"}, "the last message must be from the user", "messages"),
        ({"content": " "}, "content must not be empty", "messages[0].content"),
        ({"content": ["hi"]}, "must be a string or a list of {", "messages[0].content"),
        ({"content": [{"type": "image_url"}]}, "type image, which is not supported; send text only",
         "messages[0].content"),
        ({"tool_calls": [{"id": "x"}]}, "tool_calls is not supported", "messages[0].tool_calls"),
        ({"content": "h" * 99}, "the message has 99 characters", "messages"),
    ],
)  # fmt: skip
def test_an_openai_error_has_a_message_and_names_its_field(request, fields, message, field) -> None:
    """The invalid field belongs to the body, or to the only message of a chat."""
    is_message = {"role", "content", "tool_calls"} & {*fields}
    body = {"messages": [{**HI, **fields}]} if is_message else fields
    server = request.getfixturevalue("talk" if is_message else "names")
    error = refused(server, OPENAI_CHAT if "messages" in body else COMPLETIONS, body)
    assert message in error["message"]
    assert error["param"] == field


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"temperature": NaN}',
        b'{"temperature": 1e999}',
        b'{"prompt": "\\ud800"}',
        b'{"messages": [{"role": "user", "content": "\\ud83d"}]}',
        b'{"prompt": "\xff"}',
        b"[" * 16_000,
        b'{"a":' * 8_000,
        b'{"seed": ' + b"9" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_with_malformed_or_extreme_json_is_refused(talk, body) -> None:
    refused(talk, CHAT if b"messages" in body else GENERATE, body, **JSON)


@pytest.mark.parametrize("path", [GENERATE, COMPLETIONS])
def test_each_kind_of_refusal_has_the_error_format_of_its_api(names, path) -> None:
    def told(*args: Any, **headers: str) -> str:
        error = refused(names, *args, **headers)
        return error if path == GENERATE else error["message"]

    for kind in ("text/plain", "application/x-www-form-urlencoded", "", "json"):
        assert "must be JSON" in told(path, b"{}", 415, Content_Type=kind)
    assert "larger than 1048576 bytes" in told(path, {"prompt": "a" * 2**21}, 413)
    assert "the body is not valid JSON" in told(path, b'{"n":', **JSON)
    assert "does not support GET" in told(path, None, 405)
    assert names.get(path).headers["allow"] == "POST"
    below = path.rpartition("/")[0]
    unknown = told(f"{below}/nowhere", None, 404)
    assert f"{below}/nowhere does not exist; use one of POST /microgpt/v1" in unknown
    for known in ("POST /v1/chat/completions", "GET /v1/models/{name}", "GET /openapi.json"):
        assert known in unknown


def test_an_unknown_path_gets_a_404_that_escapes_the_path(names) -> None:
    refused(names, f"{GENERATE}/", None, 404)
    refused(names, "/docs/assets/none.js", None, 404)
    refused(names, "/%00%ff/../../etc/passwd", None, 404)
    assert r"/\r\nX:1\x9b does not exist; use" in refused(names, "/%0d%0aX:1%C2%9b", None, 404)


def test_an_integer_field_accepts_a_whole_number_with_a_decimal_point(names) -> None:
    pointed = names.generate(num_samples=2.0, seed=7.0)
    assert pointed.json == names.generate(num_samples=2, seed=7).json


def test_a_reply_can_report_thousands_of_unknown_characters(talk) -> None:
    wide = [{"role": "user", "content": "".join(map(chr, range(0x4E00, 0x9FFF)))}, HI]
    assert len(talk.request("POST", CHAT, {"messages": wide}).json["unknown_characters"]) > 20_000


def test_the_json_content_type_can_declare_a_charset(names) -> None:
    kind = "Application/JSON; charset=utf-8"
    assert names.request("POST", GENERATE, b"{}", Content_Type=kind).status == 200


def test_a_request_body_can_arrive_in_many_chunks(names) -> None:
    head = f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"seed": 7}' + b" " * 20_000)
    received = names.raw(chunked + pieces + b"0\r\n\r\n")
    assert json.loads(received.partition(b"\r\n\r\n")[2]) == names.generate(seed=7).json


def test_a_forwarded_address_cannot_forge_a_log_line(names) -> None:
    assert names.get("/health", X_Forwarded_For="1.2.3.4 GET /forged 200\x85again").status == 200
    names.wait_for(r"Z 1\.2\.3\.4 GET /forged 200\\x85again:\d+ - .GET /health HTTP/1.1. 200")
