"""A service process, and the requests that benchmarks send to it over plain sockets."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

SERVE = [str(Path(sys.executable).with_name("microgpt-serve"))]  # serves the model in $MODEL_DIR
CHAT, GENERATE = "/microgpt/v1/chat", "/microgpt/v1/generate"
OPENAI_CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
HELLO = [{"role": "user", "content": "hello"}]


class Service(NamedTuple):
    """The port and the process id of a running service."""

    port: int
    pid: int


@contextmanager
def started(
    command: Sequence[str] = SERVE, environment: Mapping[str, str] = os.environ, port: int = 0
) -> Iterator[Service]:
    """Run a service in an empty directory, on a given or a free port, until the context ends."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as stderr:
            env = {**environment, "PORT": str(port)}
            process = subprocess.Popen(command, stderr=stderr, cwd=folder, env=env)
        try:
            while not (found := re.search(r"http://[\w.]+:(\d+)", log.read_text())):
                if process.poll() is not None:
                    raise SystemExit(log.read_text())
                time.sleep(0.002)
            yield Service(int(found[1]), process.pid)
        finally:
            process.terminate()
            process.wait()
        if "Traceback" in log.read_text():
            raise SystemExit(log.read_text()[-3000:])


def request(path: str, body: bytes | Mapping[str, Any] | None) -> bytes:
    """Return the bytes of a POST request, or of a GET request without a body."""
    if body is None:
        return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def rest(reader: asyncio.StreamReader, start: bytes = b"") -> bytes:
    """Read the rest of a reply, and return the whole reply; raise EOFError if it is cut off."""
    answer = bytearray(start)
    while not is_complete(answer):
        if not (more := await reader.read(2**16)):
            raise EOFError
        answer += more
    return bytes(answer)


def is_complete(answer: bytearray) -> bool:
    """Return whether a reply has all bytes of its Content-Length, or its last chunk."""
    size = answer.find(b"\r\n\r\n")
    if length := re.search(rb"content-length: (\d+)", answer[: max(0, size)], re.IGNORECASE):
        return len(answer) >= size + 4 + int(length[1])
    return size > 0 and answer.endswith(b"\r\n0\r\n\r\n")


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile, in milliseconds, of times in seconds."""
    ordered = sorted(seconds)
    low, high = (1000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    return low, high
