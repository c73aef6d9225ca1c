"""Whatever a client sends, it gets JSON in one shape, soon, and never a 500."""

import contextlib
import json
import re
import socket

import pytest

from microgpt_serve.routes.body import MAX_BODY_BYTES

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
        ({"temperature": -0.5}, "temperature must be >= 0, got -0.5"),
        ({"temperature": "0.5"}, "temperature must be a number, got '0.5'"),
        ({"num_samples": 51}, "num_samples must be <= 50, got 51"),
        (
            {"num_samples": 50, "prompt": "a" * 30_000},
            "num_samples times the length of the prompt must be <= 1048576, got 1500000",
        ),
        ({"num_samples": 1.5}, "num_samples must be an integer, got 1.5"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"seed": 2**63}, "seed must be < 9223372036854775808"),
        ({"seed": 10**3000}, "seed must be"),
        ({"prompt": 5}, "prompt must be a string, got 5"),
        ({"prompt": "aZé"}, "the vocabulary does not contain 'Z', 'é'"),
        ({"max_tokens": 16_385}, "max_tokens must be <= 16384, got 16385"),
        ({"stop": ["a"]}, "unknown field 'stop'"),
        ([], "the body must be an object"),
        (5, "the body must be an object"),
    ],
)
def test_an_error_from_generate_names_the_field_and_its_limit(names, body, problem) -> None:
    kind = {"Content_Type": "application/json"}
    assert_error(names.request("POST", GENERATE, json.dumps(body), **kind), 400, problem)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "messages is missing"),
        ({"messages": []}, "messages must not be empty"),
        ({"messages": [HI, {**HI, "role": "bot"}]}, "messages[1].role must be 'user', 'assistant'"),
        ({"messages": [{**HI, "role": "system"}]}, "messages has no user message; add one"),
        ({"messages": [{**HI, "role": "\x7f\x9b"}]}, r"or 'developer', got '\x7f\x9b'"),
        ({"messages": [{**HI, "role": None}]}, "messages[0].role must be 'user', 'assistant'"),
        ({"messages": [{**HI, "content": " \n"}]}, "messages[0]: content must not be empty"),
        ({"messages": [{"role": "user"}]}, "messages[0].content is missing"),
        ({"messages": [{**HI, "task": "greet"}]}, "unknown field 'task'"),
        ({"messages": [None]}, "messages[0] must be an object"),
        ({"messages": [{**HI, "content": "h" * 40}]}, "the message has 40 characters; at most"),
        ({"messages": [{**HI, "content": "日 本"}]}, "no character of the message is in the voc"),
        ({"messages": [HI], "num_samples": 2}, "unknown field 'num_samples'"),
    ],
)
def test_an_error_from_chat_names_the_message_and_the_field(talk, body, problem) -> None:
    assert_error(talk.request("POST", CHAT, body), 400, problem)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"seed": 42,}',
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
        b"null",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_with_invalid_json_is_refused(talk, body) -> None:
    page = CHAT if b"messages" in body else GENERATE
    assert_error(talk.request("POST", page, body, Content_Type="application/json"), 400)


def test_an_integer_field_may_have_a_decimal_point(names) -> None:
    whole, pointed = (
        names.generate(num_samples=2, seed=7),
        names.generate(num_samples=2.0, seed=7.0),
    )
    assert whole.json == pointed.json


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_a_body_without_the_json_content_type_gets_a_415(names, kind) -> None:
    assert_error(names.request("POST", GENERATE, b"{}", Content_Type=kind), 415)


def test_unknown_paths_get_a_404_and_unknown_methods_a_405(names) -> None:
    assert_error(names.get("/nowhere"), 404, "/nowhere does not exist")
    assert_error(names.get("/microgpt/v1/generate/"), 404)
    assert_error(names.get("/%00%ff/../../etc/passwd"), 404)
    reply = names.get(GENERATE)
    assert_error(reply, 405, "does not support GET")
    assert reply.headers["allow"] == "POST"
    assert_error(names.request("DELETE", "/health"), 405)


def test_a_body_larger_than_the_limit_gets_a_413(names) -> None:
    body = b'{"prompt": "%s"}' % (b"a" * MAX_BODY_BYTES)
    kind = {"Content_Type": "application/json"}
    assert_error(names.request("POST", GENERATE, body, **kind), 413, "larger than 4194304 bytes")
    head = f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunk = b"100000\r\n" + b"a" * 2**20 + b"\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    assert b" 413 " in names.raw(chunked + chunk * 5 + b"0\r\n\r\n").split(b"\r\n")[0]
    huge = f"{head}Content-Length: {10**30}\r\n\r\n".encode()
    assert names.raw(huge, half_close=True)[:12] in (b"HTTP/1.1 413", b"HTTP/1.1 400", b"")


def test_a_reply_can_report_thousands_of_unknown_characters(talk) -> None:
    wide = [{"role": "user", "content": "".join(map(chr, range(0x4E00, 0x9FFF)))}, HI]
    assert len(talk.request("POST", CHAT, {"messages": wide}).json["unknown_characters"]) > 20_000


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /microgpt/v1/generate HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_invalid_http_gets_a_400_with_a_json_error(names, data) -> None:
    head, _, body = names.raw(data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert list(json.loads(body)) == ["error"]


@pytest.mark.parametrize(
    "flood",
    [
        b"GET /" + b"a" * 400_000,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: "
        + b"b" * 900_000,
    ],
    ids=["path", "trailer"],
)
def test_a_flood_of_headers_is_rejected(names, flood) -> None:
    received = names.raw(flood)
    assert received[9:12] in (b"431", b"405", b"")  # a client that goes on sending may miss it
    assert names.get("/health").status == 200


def test_pipelined_requests_are_answered_in_order(names) -> None:
    one = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    received = names.raw(b"".join(one % i for i in range(10)) + last)
    assert re.findall(rb"/(\w+) does not exist", received) == b"0 1 2 3 4 5 6 7 8 9 last".split()
    names.raw(b"".join(one % i for i in range(5_000)))
    assert names.get("/health").status == 200


def test_a_half_closed_connection_does_not_hang(names) -> None:
    head = b"POST /microgpt/v1/generate HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Content-Type: application/json\r\n"
    whole, short = (b"Content-Length: %d\r\n\r\n" % n + b'{"seed": 1}' for n in (11, 12))
    for sent in (head + whole, head + short, head, b""):
        names.raw(sent, half_close=True)
    assert names.get("/health").status == 200


@pytest.mark.slow
def test_a_slow_request_gets_a_timeout_error_in_its_api_format(names) -> None:
    """All at once, as each is given ten seconds."""
    rest = b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = rest + b"Content-Length: 100\r\n\r\n{"
    ours, openai = b"POST /microgpt/v1/generate", b"POST /v1/completions"
    sent = [b"", ours[:20], ours + body, openai + rest[:17], openai + body]
    with contextlib.ExitStack() as at_end:
        received = []
        for start in sent:
            client = socket.create_connection((names.host, names.port), timeout=40)
            client.sendall(start)
            received.append(at_end.enter_context(client.makefile("rb")))
            at_end.enter_context(client)
        nothing, *replies = [file.read() for file in received]
    assert nothing == b""
    assert [reply[9:12] for reply in replies] == [b"408"] * 4
    errors = [json.loads(reply.partition(b"\r\n\r\n")[2])["error"] for reply in replies]
    assert [type(error) for error in errors[:2]] == [str, str]
    for error in errors[2:]:
        assert set(error) == {"message", "type", "param", "code"}


def test_the_json_content_type_may_declare_a_charset(names) -> None:
    kind = "Application/JSON; charset=utf-8"
    assert names.request("POST", GENERATE, b"{}", Content_Type=kind).status == 200


def test_an_error_repeated_within_a_body_is_reported_once(talk) -> None:
    for wrong in (b"0", b"{}", b'{"role":""}'):
        body = b'{"messages":[' + (wrong + b",") * 5_000 + wrong + b"]}"
        reply = talk.request("POST", CHAT, body, timeout=10, Content_Type="application/json")
        assert_error(reply, 400, "messages[0]")


def test_a_body_may_arrive_in_many_pieces(names) -> None:
    head = f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"seed": 7}' + b" " * 20_000)
    received = names.raw(chunked + pieces + b"0\r\n\r\n")
    assert json.loads(received.partition(b"\r\n\r\n")[2]) == names.generate(seed=7).json


def test_a_forwarded_address_cannot_forge_a_log_line(names) -> None:
    assert names.get("/health", X_Forwarded_For="1.2.3.4 GET /forged 200\x85again").status == 200
    names.wait_for(r"Z 1\.2\.3\.4\\x20GET\\x20/forged\\x20200\\x85again GET /health 200")


def test_an_unknown_path_is_escaped_in_the_error(names) -> None:
    assert_error(names.get("/%0d%0aX:1%C2%9b"), 404, r"/\r\nX:1\x9b does not exist")


@pytest.mark.slow
def test_sending_blank_lines_does_not_keep_a_connection_open(names) -> None:
    with socket.create_connection((names.host, names.port), timeout=40) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while not received.endswith(b"}"):
            received += client.recv(65536)
        client.sendall(b"\r\n")
        while piece := client.recv(65536):
            received += piece
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"408"]


@pytest.mark.parametrize("length", ["Content-Length: 2", "Transfer-Encoding: chunked"])
def test_a_request_with_a_body_and_an_upgrade_is_refused(names, length) -> None:
    head = f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/json\r\n{length}\r\n"
    received = names.raw(f"{head}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n{{}}".encode())
    assert received.startswith(b"HTTP/1.1 400 ")
    assert "send no Upgrade header" in json.loads(received.partition(b"\r\n\r\n")[2])["error"]


def test_the_error_for_many_unknown_fields_only_counts_them(names) -> None:
    body = {f"{i:x}": 0 for i in range(8_000)}
    assert_error(names.generate(**body), 400, "8000 fields are unknown")
