import contextlib
import re
import socket

import pytest

from microgpt_serve.body_limits import MAX_BODY_BYTES
from microgpt_serve.encoding import MAX_CHARACTERS
from microgpt_serve.middleware import MAX_UNREAD_BYTES
from microgpt_serve.request_bodies import MAX_MESSAGES

GENERATE, CHAT = "/microgpt/v1/generate", "/microgpt/v1/chat"
OPENAI_CHAT = "/v1/chat/completions"
HI = {"role": "user", "content": "hi"}


@pytest.mark.parametrize("page", [CHAT, OPENAI_CHAT])
@pytest.mark.parametrize(
    ("most", "problem"),
    [
        ([HI] * MAX_MESSAGES, f"messages must have at most {MAX_MESSAGES} items, got 2049"),
        ([{**HI, "content": "h" * (MAX_CHARACTERS - 2)}, HI],
         f"must be at most {MAX_CHARACTERS}, got {MAX_CHARACTERS + 2}"),
    ],
    ids=["messages", "characters"],
)  # fmt: skip
def test_a_conversation_above_a_length_limit_is_refused(talk, page, most, problem) -> None:
    reply = talk.request("POST", page, {"messages": most})
    assert reply.status == 200
    assert reply.json["tokens_dropped"] >= min(MAX_MESSAGES + 1, MAX_CHARACTERS)
    reply = talk.request("POST", page, {"messages": [*most, HI]})
    assert reply.status == 400
    assert problem in reply.message


MANY_VALUES = [b"0", b"[]", b'{"role":""}', b'{"a":0,"b":0}', b"[[[[]]]]"]


@pytest.mark.parametrize("value", MANY_VALUES)
def test_a_body_with_too_many_values_gets_a_413_in_10_seconds(talk, value) -> None:
    body = b'{"messages":[%s]}' % b",".join([value] * ((MAX_BODY_BYTES - 20) // (len(value) + 1)))
    reply = talk.request("POST", CHAT, body, timeout=10, Content_Type="application/json")
    assert reply.status == 413
    assert reply.message == "the body has more than 20,000 values"


@pytest.mark.parametrize(
    "contents",
    [
        ["hi" + r"\",[{" * 20_000],  # the brackets are inside a string, which is one value
        ["é" * (MAX_CHARACTERS - 2), "hi"],  # in JSON, each é takes six bytes: \u00e9
    ],
    ids=["values", "escapes"],
)
def test_a_long_text_of_brackets_or_escaped_letters_is_accepted(talk, contents) -> None:
    messages = [{**HI, "content": content} for content in contents]
    assert talk.request("POST", CHAT, {"messages": messages}).status == 200


@pytest.mark.parametrize("page", [CHAT, OPENAI_CHAT])
@pytest.mark.parametrize("place", ["top", "message", "value"])
def test_error_messages_shorten_long_input_from_a_client(talk, page, place) -> None:
    long = "\x1b" + "a" * 200_000
    body = {
        "top": {"messages": [HI], long: 1},
        "message": {"messages": [{**HI, long: 1}]},
        "value": {"messages": [{**HI, "role": long}], "temperature": long},
    }[place]
    reply = talk.request("POST", page, body)
    assert reply.status == 400
    assert len(reply.body) < 800


def head_of(path: str, *fields: str) -> bytes:
    kind = "Content-Type: application/json" if "Content-Type" not in "".join(fields) else "A: b"
    return "\r\n".join((f"POST {path} HTTP/1.1", "Host: localhost", kind, *fields, "", "")).encode()


def test_a_body_announced_as_too_large_is_refused_at_once(names) -> None:
    for fields in ((), ("Expect: 100-continue",)):
        address = (names.host, names.port)
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(head_of(GENERATE, f"Content-Length: {MAX_BODY_BYTES + 1}", *fields))
            assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.fixture(scope="module")
def hasty(shared, names_dir):
    """A service with a key and a time limit of a quarter of a second per request."""
    return shared(names_dir, MICROGPT_API_KEY="secret", MICROGPT_TIMEOUT_S="0.25")


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        (GENERATE, (), 401),
        (GENERATE, ("Authorization: Bearer secret",), 413),
        (GENERATE, ("Authorization: Bearer secret", "Content-Type: text/plain"), 415),
        ("/nowhere", ("Authorization: Bearer secret",), 404),
        ("/health", (), 405),
    ],
)
def test_a_refused_request_ends_before_its_whole_body_arrives(hasty, path, fields, status) -> None:
    head = head_of(path, "Content-Length: 1000000000", *fields)
    received = hasty.raw(head + b"a", timeout=10)  # the connection is closed after the time limit
    assert int(received[9:12]) == status
    head = head_of(path, "Transfer-Encoding: chunked", *fields)
    chunk = b"100000\r\n" + b"a" * 2**20 + b"\r\n"
    received = hasty.raw(head + chunk * (2 * MAX_UNREAD_BYTES // 2**20))
    assert received == b"" or int(received[9:12]) == status


def test_a_client_without_the_key_gets_a_401_even_while_sending_a_body(hasty) -> None:
    """If a server closes a connection with unread bytes, the client loses the reply."""
    waiting = head_of(GENERATE, "Content-Length: 1000", "Expect: 100-continue")
    body = b'{"prompt": "' + b"a" * 5_000_000
    whole = head_of(GENERATE, f"Content-Length: {len(body)}") + body
    for sent in (waiting, *[whole] * 10):
        with socket.create_connection((hasty.host, hasty.port), timeout=30) as client:
            client.sendall(sent)
            assert client.recv(65536).startswith(b"HTTP/1.1 401 ")


HEAD = "Host: localhost\r\nContent-Type: application/json\r\n"
POST = f"POST /microgpt/v1/generate HTTP/1.1\r\n{HEAD}"
GET = "GET /health HTTP/1.1\r\nConnection: close\r\n"
BODY = '{"seed": 1}'


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("hello\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        ("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
        (f"{GET}Host: localhost\r\nA b: c\r\n\r\n", 400),
        (f"{POST}Content-Length: -5\r\n\r\n", 400),
        (f"{POST}Content-Length: {10**30}\r\n\r\n", 400),
        (f"{POST}Content-Length: 11\r\nContent-Length: 12\r\n\r\n{BODY}", 400),
        (f"{POST}Content-Length: 11\r\nTransfer-Encoding: chunked\r\n\r\n{BODY}", 400),
        (f"{POST}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nxyz\r\n", 400),
        (f"{POST}Content-Length: 2000000\r\n\r\n{BODY}", 413),
        (f"{GET}Host: localhost\r\n\r\n", 200),
        (f"{GET}Host: [::1]:8080\r\n\r\n", 200),
        (f"{GET}\r\n", 200),
        ("GET /health HTTP/1.0\r\n\r\n", 200),
        (f"{GET}Host: localhost\r\nHost: evil.example\r\n\r\n", 403),
        (f"{GET}Host: evil.example\r\nHost: localhost\r\n\r\n", 403),
        (f"{GET}Origin: http://localhost\r\nOrigin: http://evil.example\r\n\r\n", 403),
        (f"{GET}Origin: http://evil.example\r\nOrigin: http://localhost\r\n\r\n", 403),
        (f"{GET}Host: a b\r\n\r\n", 403),
        (f"{GET}Host:\r\n\r\n", 403),
        (f"{POST}Origin: null\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{BODY}", 403),
        (f"{POST}Content-Length: 11\r\nConnection: close\r\n\r\n{BODY}", 200),
    ],
)
def test_invalid_http_requests_get_a_4xx_and_valid_ones_a_200(names, sent, status) -> None:
    received = names.raw(sent.encode("latin-1"), half_close="Connection: close" not in sent)
    assert int(received[9:12]) == status, received
    assert names.get("/health").status == 200


def test_pipelined_requests_are_answered_in_the_order_of_arrival(names) -> None:
    one = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    received = names.raw(b"".join(one % i for i in range(10)) + last)
    assert re.findall(rb"/(\w+) does not exist", received) == b"0 1 2 3 4 5 6 7 8 9 last".split()


def test_a_half_closed_connection_does_not_block_the_service(names) -> None:
    whole, short = (f"{POST}Content-Length: {n}\r\n\r\n{BODY}".encode() for n in (11, 12))
    many = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5_000
    for sent in (whole, short, POST.encode(), b"", many):
        names.raw(sent, half_close=True)
    assert names.get("/health").status == 200


@pytest.mark.parametrize("sent", [b"", b"GET /hea", POST.encode() + b"Content-Length: 99\r\n\r\n{"])
def test_300_incomplete_requests_do_not_block_another_request(names, sent) -> None:
    with contextlib.ExitStack() as slow:
        for _ in range(300):
            client = socket.create_connection((names.host, names.port), timeout=30)
            slow.enter_context(client).sendall(sent)
        assert names.generate(timeout=10).status == 200
