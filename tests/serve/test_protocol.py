"""What the service makes of HTTP itself: its limits on headers, time, readers and connections."""

import contextlib
import json
import socket
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from commands import run_process

from microgpt_serve.protocol import MAX_HEAD_BYTES, MAX_HEADERS, SEND_S, LimitedProtocol


class Connection:
    """A connection whose reader the test is, with a clock of its own."""

    def __init__(self) -> None:
        self.n_waiting, self.is_aborted, self.alarms = 0, False, []
        self.socket, self.client = socket.socketpair()
        self.protocol = LimitedProtocol.__new__(LimitedProtocol)
        self.protocol.transport = SimpleNamespace(
            get_write_buffer_size=lambda: self.n_waiting,
            get_extra_info=lambda name: self.socket,
            abort=self.abort,
        )
        self.protocol.loop = SimpleNamespace(call_later=self.call_later)
        nothing = SimpleNamespace(pause_writing=lambda: None, resume_writing=lambda: None)
        self.protocol.flow = nothing

    def abort(self) -> None:
        self.is_aborted = True

    def call_later(self, seconds, function, *args):
        assert seconds == SEND_S
        self.alarms.append(lambda: function(*args))
        return SimpleNamespace(cancel=self.alarms.clear)

    def pass_time(self) -> None:
        self.alarms.pop()()


@pytest.fixture
def connection() -> Iterator[Connection]:
    connection = Connection()
    connection.n_waiting = 1_000_000
    connection.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            connection.socket.send(b"a" * 1000)
    connection.protocol.pause_writing()
    yield connection
    connection.socket.close()
    connection.client.close()


def test_a_client_that_reads_nothing_is_disconnected(connection) -> None:
    connection.pass_time()
    assert connection.is_aborted


OF_SOCKET = pytest.mark.skipif(sys.platform != "linux", reason="only our own buffer is seen")


@pytest.mark.parametrize("buffer", ["ours", pytest.param("of the socket", marks=OF_SOCKET)])
def test_a_client_that_reads_slowly_is_not_disconnected(connection, buffer) -> None:
    for _ in range(10):
        if buffer == "ours":
            connection.n_waiting -= 1_000
        else:
            connection.client.recv(1000)
        connection.pass_time()
        assert not connection.is_aborted
    connection.pass_time()
    assert connection.is_aborted


def test_the_send_timeout_is_cancelled_once_a_client_catches_up(connection) -> None:
    connection.protocol.resume_writing()
    assert not connection.alarms


def test_the_slowest_of_many_slow_clients_are_disconnected_first(monkeypatch) -> None:
    monkeypatch.setattr(LimitedProtocol, "_slow", [])
    slow = [Connection() for _ in range(4)]
    for connection in slow:
        connection.n_waiting = 30_000_000
        connection.protocol.pause_writing()
    assert [one.is_aborted for one in slow] == [True, True, False, False]
    slow[2].protocol.resume_writing()
    slow[0].protocol.pause_writing()
    assert not slow[3].is_aborted
    for connection in slow:
        connection.socket.close()
        connection.client.close()


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


def test_the_protocol_can_be_imported_on_windows() -> None:
    names = "fcntl", "resource", "termios"  # modules that Windows lacks
    code = f"import sys; sys.modules |= dict.fromkeys({names}); import microgpt_serve.protocol as p"
    done = run_process([sys.executable, "-c", f"{code}; print(p.MAX_CONNECTIONS)"])
    assert done.stdout == f"{2**16}\n"
