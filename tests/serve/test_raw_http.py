"""Bytes that are hardly HTTP: what uvicorn answers, so that docs/security.md can say it."""

import contextlib
import re
import socket

import pytest

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
def test_bytes_are_answered_as_documented(names, sent, status) -> None:
    received = names.raw(sent.encode("latin-1"), half_close="Connection: close" not in sent)
    assert int(received[9:12]) == status, received
    assert names.get("/health").status == 200


def test_pipelined_requests_are_answered_in_order(names) -> None:
    one = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    received = names.raw(b"".join(one % i for i in range(10)) + last)
    assert re.findall(rb"/(\w+) does not exist", received) == b"0 1 2 3 4 5 6 7 8 9 last".split()
    names.raw(b"".join(one % i for i in range(5_000)), half_close=True)
    assert names.get("/health").status == 200


def test_a_half_closed_connection_does_not_hang(names) -> None:
    whole, short = (f"{POST}Content-Length: {n}\r\n\r\n{BODY}".encode() for n in (11, 12))
    for sent in (whole, short, POST.encode(), b""):
        names.raw(sent, half_close=True)
    assert names.get("/health").status == 200


@pytest.mark.parametrize("sent", [b"", b"GET /hea", POST.encode() + b"Content-Length: 99\r\n\r\n{"])
def test_300_slow_connections_do_not_disturb_others(names, sent) -> None:
    with contextlib.ExitStack() as slow:
        for _ in range(300):
            client = socket.create_connection((names.host, names.port), timeout=30)
            slow.enter_context(client).sendall(sent)
        assert names.get("/health").status == 200
        assert names.generate(timeout=10).status == 200
