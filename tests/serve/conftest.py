"""Fixtures: the service in a separate process, and its clients."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from commands import SERVE

# Time limits for a start, which can include compiling the engine, and for a line of the log.
START_S, LOG_S = 300, 30


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The message of an error response, in the format of microgpt's API or of OpenAI's."""
        error = self.json["error"]
        return error if isinstance(error, str) else error["message"]


def _content(body: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return HTTPX arguments for headers and a body, which is encoded as JSON unless it is text."""
    names = {name.replace("_", "-"): value.encode("latin-1") for name, value in headers.items()}
    if body is None or isinstance(body, str | bytes):
        return {"content": body, "headers": names}
    names = {"Content-Type": b"application/json", **names}
    return {"content": json.dumps(body), "headers": names}


def _reply(response: httpx2.Response) -> Reply:
    return Reply(response.status_code, dict(response.headers), response.content)


class Server:
    """A `microgpt-serve` process."""

    def __init__(
        self,
        model_dir: Path | None,
        log: Path,
        command: Sequence[str | Path] = (SERVE,),
        **env: str,
    ) -> None:
        self.log_path = log
        self._clients: list[Any] = []
        if model_dir:
            env["MODEL_DIR"] = str(model_dir)
        env = {**os.environ, "PORT": "0", **env}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=log.parent, env=env, stdout=out, stderr=out
            )
        try:
            found = self.wait_for(r"at http://(\S+):(\d+)", START_S)
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        self.host, self.port = found[1].strip("[]"), int(found[2])
        self._http = httpx2.Client(**self._settings())

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def wait_for(self, pattern: str, seconds: int = LOG_S) -> re.Match[str]:
        """Wait until the log of the server matches a pattern, and return the match."""
        for _ in range(seconds * 50):
            if found := re.search(pattern, self.log):
                return found
            assert self.process.poll() is None, self.log
            time.sleep(0.02)
        raise AssertionError(f"{pattern} is not in the log: {self.log}")

    def request(
        self, method: str, path: str, body: Any = None, *, timeout: float = 120, **headers: str
    ) -> Reply:
        """Return the reply to a request on a new connection."""
        return _reply(self._http.request(method, path, **_content(body, headers), timeout=timeout))

    def at_once(
        self, path: str, bodies: Iterable[Any], n_clients: int = 32, timeout: float = 120
    ) -> list[Reply]:
        """Return the replies to POST requests, sent by n_clients clients at the same time."""

        async def ask() -> list[Reply]:
            patience = httpx2.Timeout(timeout, pool=None)
            async with httpx2.AsyncClient(**self._settings(n_clients), timeout=patience) as client:
                requests = [client.post(path, **_content(body, {})) for body in bodies]
                return list(map(_reply, await asyncio.gather(*requests)))

        return asyncio.run(ask())

    def _settings(self, max_connections: int | None = None) -> dict[str, Any]:
        """Return the settings of an HTTP client without persistent connections or proxies."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=0)
        return {"base_url": f"http://{host}:{self.port}", "limits": limits, "trust_env": False}

    def get(self, path: str, **headers: str) -> Reply:
        return self.request("GET", path, **headers)

    def generate(self, timeout: float = 120, **body: Any) -> Reply:
        return self.request("POST", "/microgpt/v1/generate", body, timeout=timeout)

    def chat(self, *contents: str, **body: Any) -> Reply:
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]
        return self.request("POST", "/microgpt/v1/chat", {"messages": messages, **body})

    def openai(self, key: str = "none", timeout: float = 30) -> Any:
        """Return OpenAI's own client, which never retries and stays open until the server stops."""
        from openai import OpenAI  # the import takes almost a second

        base_url = f"http://{self.host}:{self.port}/v1"
        client = OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=timeout)
        self._clients.append(client)
        return client

    def send(self, path: str, body: Any, *, receive_buffer: int | None = None) -> socket.socket:
        """Send a request, and return the socket from which the caller reads the reply."""
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(30)
        client.connect((self.host, self.port))
        client.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        return client

    def raw(self, data: bytes, *, timeout: float = 30, half_close: bool = False) -> bytes:
        """Send bytes, and return all received bytes until the server closes the connection."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as client:
            try:
                client.sendall(data)
                if half_close:
                    client.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the server has closed the connection; its reply can still be read
            received = b""
            try:
                while piece := client.recv(65536):
                    received += piece
            except ConnectionResetError:
                pass
            return received

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def metric(self, name: str) -> float:
        line = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").body.decode(), re.M)
        assert line, name
        return float(line[1])

    def until_idle(self) -> None:
        """Wait until the threads of the process no longer compute."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        for _ in range(100):
            before = sum(map(int, stat.read_text().split()[13:15]))
            time.sleep(0.3)
            if sum(map(int, stat.read_text().split()[13:15])) - before <= 2:  # CPU use is under 7 %
                return
        raise AssertionError("it goes on")

    def stop(self) -> None:
        for client in (self._http, *self._clients):
            client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise


Serve = Callable[..., Server]


def _serving(folder: Path) -> Iterator[Serve]:
    servers: list[Server] = []

    def start(model_dir: Path | None = None, **options: Any) -> Server:
        servers.append(Server(model_dir, folder / f"serve-{len(servers)}.log", **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
    assert not [server.log for server in servers if "Traceback" in server.log]


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Undo the effects of `set_up_logs` on this process at the end of the test."""
    loggers = [logging.getLogger(name) for name in (None, "microgpt_serve", "uvicorn")]
    before = [(one.handlers, one.level) for one in loggers]
    yield
    logging.captureWarnings(False)
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers = handlers
        logger.setLevel(level)


@pytest.fixture
def serve(tmp_path) -> Iterator[Serve]:
    """A function that starts the service, whose log must contain no traceback at the test's end."""
    yield from _serving(tmp_path)


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Iterator[Serve]:
    """A function like `serve`, whose services are shared by all tests."""
    yield from _serving(tmp_path_factory.mktemp("shared"))


def _server_of(name: str) -> Any:
    """Return the fixture `name`: a service with the model of this name, shared by all tests."""

    @pytest.fixture(scope="session", name=name)
    def server(request, shared) -> Server:
        return shared(request.getfixturevalue(f"{name}_dir"))

    return server


names, talk, subword = map(_server_of, ["names", "talk", "subword"])


@pytest.fixture(scope="session")
def slow(shared, slow_dir) -> Server:
    """A shared service with a model whose texts take many seconds to generate."""
    return shared(slow_dir, MICROGPT_TIMEOUT_S="600")


@pytest.fixture(scope="session")
def brief(shared, slow_dir) -> Server:
    """A shared service with the model of `slow` and a time limit of one second per request."""
    return shared(slow_dir, MICROGPT_TIMEOUT_S="1")
