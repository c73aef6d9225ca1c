"""What the service makes of HTTP itself: its limits on headers, time, readers and connections."""

import json
import socket
import sys
import time
from unittest.mock import Mock

import pytest

from microgpt_serve.protocol import MAX_HEAD_BYTES, MAX_HEADERS, LimitedProtocol


def test_the_slowest_of_many_slow_clients_are_disconnected_first(monkeypatch) -> None:
    monkeypatch.setattr(LimitedProtocol, "_slow", [])
    slow = [LimitedProtocol.__new__(LimitedProtocol) for _ in range(4)]
    for client in slow:
        client.loop, client.flow, client.transport = Mock(), Mock(), Mock()
        client.transport.get_write_buffer_size.return_value = 30_000_000
        client.transport.get_extra_info.side_effect = OSError  # it has no socket
        client.pause_writing()
    assert [one.transport.abort.called for one in slow] == [True, True, False, False]
    slow[2].resume_writing()
    slow[0].pause_writing()
    assert not slow[3].transport.abort.called


def ask(server, pieces) -> bytes:
    """Send pieces, each by itself, and return all that comes."""
    with socket.create_connection((server.host, server.port), timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        try:
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.002)
            while piece := client.recv(65536):
                received += piece
        except OSError:  # it has hung up already; what it has said can still be read
            while piece := client.recv(65536):
                received += piece
        return received


def head_of(n_bytes: int) -> bytes:
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-A: "
    return head + b"a" * (n_bytes - len(head) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("piece", [10**9, 60_000, 32_768, 1_001])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (head_of(MAX_HEAD_BYTES), b"200"),
        (head_of(MAX_HEAD_BYTES + 1), b"431"),
        (head_of(MAX_HEAD_BYTES + 40_000), b"431"),
        (head_of(200)[:-2] + b"X-B:\r\n" * (MAX_HEADERS - 3) + b"\r\n", b"200"),
        (head_of(200)[:-2] + b"X-B:\r\n" * (MAX_HEADERS - 2) + b"\r\n", b"431"),
    ],
    ids=["fits", "a byte too many", "too large", "as many", "one too many"],
)
def test_the_header_limit_does_not_depend_on_packet_sizes(names, head, status, piece) -> None:
    pieces = [head[i : i + piece] for i in range(0, len(head), piece)]
    received = ask(names, pieces)
    assert received[9:12] == status or (status == b"431" and not received)  # reset before it read


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /health HTTP/1.1", 400),
        ("GET /health HTTP/1.1\r\nHost: a\r\nHost: b", 400),
        ("GET /health HTTP/1.1\r\nHost: a\r\nhost: a", 400),
        ("GET /health HTTP/1.1\r\nHost:", 400),
        ("GET /health HTTP/1.1\r\nHost: a b", 400),
        ("GET /health HTTP/2.0\r\nHost: localhost", 505),
        ("GET /health HTTP/0.9\r\nHost: localhost", 505),
        ("GET /health HTTP/1.1\r\nHost: localhost", 200),
        ("GET /health HTTP/1.1\r\nHost: 127.0.0.1:8080", 200),
        ("GET /health HTTP/1.1\r\nHost: [::1]:8080", 200),
        ("GET /health HTTP/1.0", 200),
    ],
)
def test_a_request_needs_one_host_header_and_a_known_version(names, head, status) -> None:
    received = names.raw(f"{head}\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert int(received[9:12]) == status
    if status != 200:
        assert list(json.loads(received.partition(b"\r\n\r\n")[2])) == ["error"]


@pytest.mark.parametrize("coding", ["gzip", "deflate, gzip", "br"])
def test_a_compressed_body_gets_a_415_response(names, coding) -> None:
    headers = {"Content_Type": "application/json", "Content_Encoding": coding}
    reply = names.request("POST", "/microgpt/v1/generate", b"{}", **headers)
    assert reply.status == 415
    assert reply.json["error"].endswith("send no Content-Encoding")


def test_a_protocol_error_below_v1_has_the_openai_format(names) -> None:
    received = names.raw(b"GET /v1/models HTTP/2.0\r\n\r\n")
    error = json.loads(received.partition(b"\r\n\r\n")[2])["error"]
    assert set(error) == {"message", "type", "param", "code"}


FEW_FILES = """
import importlib, resource
from microgpt_serve import command, protocol, server
resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
importlib.reload(protocol)  # it reads the limit
importlib.reload(server)
command.main()
"""


@pytest.mark.parametrize(
    "sent", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"]
)
def test_idle_connections_do_not_block_other_connections(serve, names_dir, sent) -> None:
    server = serve(names_dir, command=[sys.executable, "-c", FEW_FILES])
    idle = []
    for _ in range(10):
        for _ in range(30):
            idle.append(socket.create_connection((server.host, server.port), timeout=30))
            idle[-1].sendall(sent)
        assert server.get("/health").status == 200
    for client in idle:
        client.close()
    assert server.generate().status == 200
    assert server.log.count("closing idle connections") == 1


def in_a_row(*bodies: bytes) -> bytes:
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return b"".join(head + body for body in bodies)


SLOW = b'Content-Length: 7\r\n\r\n{"n":9}'


def test_a_disconnect_stops_the_pipelined_request_being_answered(serve, slow_dir) -> None:
    server = serve(slow_dir)
    with socket.create_connection((server.host, server.port), timeout=30) as client:
        client.sendall(in_a_row(SLOW, SLOW))
        server.get("/health")  # answered in turn: the others have been taken
        time.sleep(0.2)
    assert server.wait_for("POST /v1/completions 499 ")
    server.until_idle()


def test_a_later_error_does_not_answer_an_earlier_request(serve, slow_dir) -> None:
    server = serve(slow_dir)
    broken = b"Transfer-Encoding: chunked\r\n\r\nno number\r\n"
    assert server.raw(in_a_row(SLOW, broken)) == b""
    assert server.wait_for("POST /v1/completions 499 ")
