"""Soak test of the service: half an hour of mixed load and restarts.

    uv run python bench/serve_mixed.py [--minutes 30] [--connections 16]

Clients send concurrent requests of every kind: texts, replies and streams. Some requests must be
refused, and some clients disconnect early. Meanwhile, the process is stopped (SIGTERM) and
replaced, twelve times in total; processes with the demo model and with a model of names take turns.
A truncated reply counts as lost. Like a proxy, clients retry if no process is listening or if a
stopping process closes the connection. Prints the responses of each kind with their latencies, the
lost replies, and the memory of each process. Ends with status 1 if a reply was lost, a status was
neither expected nor 503, or a seed did not always give the same text.
"""

import asyncio
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import psutil
from harness import parsed
from machine import machine
from tqdm import tqdm

from microgpt_serve.service_settings import ServiceSettings

MEASURE_S = 3  # interval between two measurements of memory
TIMEOUT_S = ServiceSettings.model_fields["timeout_s"].default  # for which a stopped service goes on
SAME = ("one text", "50 texts", "chat")  # kinds whose reply depends only on the seed
SERVICES = 12
TRAIN = ("--steps", "100", "--n-embd", "64", "--n-layer", "2", "--block-size", "256")
HELLO = [{"role": "user", "content": "hello"}]
TALK = [{"role": "user", "content": "tell me a story about everything that there is"}]
CHAT_ONLY = (200, 400)  # the model of names refuses such a request
# Kinds of requests: weight, path, body and expected statuses.
KINDS: dict[str, tuple[int, str, dict[str, Any] | None, tuple[int, ...]]] = {
    "one text": (20, "/microgpt/v1/generate", {}, (200,)),
    "50 texts": (3, "/microgpt/v1/generate", {"num_samples": 50}, (200,)),
    "chat": (15, "/microgpt/v1/chat", {"messages": HELLO, "temperature": 1}, CHAT_ONLY),
    "stream": (25, "/v1/chat/completions", {"messages": TALK, "stream": True, "n": 3}, CHAT_ONLY),
    "completion": (10, "/v1/completions", {"prompt": "what", "stop": "?"}, (200,)),
    "long": (3, "/v1/completions", {"prompt": "a", "n": 8, "max_tokens": 2000}, (200,)),
    "streamed": (5, "/v1/completions", {"n": 2, "stream": True}, (200,)),
    "hangs up": (10, "/v1/completions", {"stream": True, "n": 50, "temperature": 3}, (200,)),
    "goes away": (3, "/v1/completions", {"n": 50, "max_tokens": 2000}, (200,)),
    "bad": (5, "/v1/completions", {"temperature": -1}, (400,)),
    "unknown": (2, "/v1/nowhere", None, (404,)),
    "models": (5, "/v1/models", None, (200,)),
    "health": (5, "/health", None, (200,)),
}
LEAVING = {"hangs up": 0.02, "goes away": 0.2}  # seconds, after the first byte or the request
MAX_REPLY = 2**20  # bytes of a stream, which has more than 200 for each token
ENDING = 503  # status of replies while the process is shutting down


def main() -> None:
    options = parsed(__doc__, minutes=30.0, connections=16)
    print(machine(all_cores=True))
    with tempfile.TemporaryDirectory() as folder:
        load = Load(Path(folder), options.minutes * 60)
        asyncio.run(load.run(options.connections))
    raise SystemExit(load.show())


class Load:
    """Runs the clients and the service processes, and records the results."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.names, self.seconds = folder, folder / "names", seconds
        self.service = -1  # number of the running one
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped_at: float | None = None
        self.timed_out: Counter[str] = Counter()  # cut off at the end of the time limit
        self.texts: dict[tuple[int, str, int], bytes] = {}  # by model, kind and seed
        self.n_compared, self.n_different = 0, 0
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.latencies: defaultdict[str, list[float]] = defaultdict(list)
        self.lost: Counter[str] = Counter()
        self.n_again = 0
        self.memory: list[list[int]] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    async def run(self, n_connections: int) -> None:  # noqa: D102
        command = [Path(sys.executable).parent / "microgpt", "train", *TRAIN]
        subprocess.run([*command, "--model", self.names], check=True, stdout=subprocess.DEVNULL)
        self.until = time.monotonic() + self.seconds
        try:
            await asyncio.gather(self.processes(), *map(self.client, range(n_connections)))
        finally:
            if self.process:  # something has failed: the service must not go on
                self.process.kill()

    async def processes(self) -> None:
        """Run the service processes one after another."""
        for number in tqdm(range(SERVICES), unit="service"):
            ends = self.until - self.seconds * (1 - (number + 1) / SERVICES)
            log = self.folder / f"{number}.log"
            process = await self.start(number, log)
            sizes: list[int] = []
            self.memory.append(sizes)
            while (left := ends - time.monotonic()) > 0:
                await asyncio.sleep(min(MEASURE_S, left))
                sizes.append(psutil.Process(process.pid).memory_info().rss)
            process.terminate()
            self.stopped_at = time.monotonic()
            while process.poll() is None:
                await asyncio.sleep(0.05)
            self.stopped_at = None
            text = log.read_text()
            if process.returncode or "Traceback" in text:
                raise SystemExit(f"status {process.returncode}\n{text[-3000:]}")
            log.unlink()

    async def start(self, number: int, log: Path) -> subprocess.Popen[bytes]:
        """Start a service process and wait until it serves."""
        env = {**os.environ, "PORT": str(self.port)}
        if number % 2:
            env["MODEL_DIR"] = str(self.names)
        self.service = number
        command = [Path(sys.executable).parent / "microgpt-serve"]
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, cwd=self.folder, env=env, stderr=stderr)
        self.process = process
        while "serving " not in log.read_text():
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            await asyncio.sleep(0.05)
        return process

    async def client(self, number: int) -> None:  # noqa: D102
        rng = random.Random(number)
        reader = writer = None
        while time.monotonic() < self.until - 1:
            kind = rng.choices(list(KINDS), [share for share, *_ in KINDS.values()])[0]
            started, answer = time.perf_counter(), b""
            service, seed = self.service, rng.randrange(10**6 if kind not in SAME else 100)
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", self.port, limit=MAX_REPLY
                    )
                writer.write(request(kind, seed))
                answer = b"?" if kind == "goes away" else await reader.read(1)
                if not answer:
                    raise ConnectionResetError
                if leaves_s := LEAVING.get(kind):
                    await asyncio.sleep(rng.random() * leaves_s)
                    writer.close()
                    reader = writer = None
                else:
                    answer += await rest(reader)
            except (OSError, EOFError):
                self.see_failure(kind, answer)
                if writer:
                    writer.close()
                reader = writer = None
                await asyncio.sleep(0.02)
                continue
            status = int(answer[9:12] or 200)
            self.latencies[kind].append(time.perf_counter() - started)
            self.statuses[kind, status] += 1
            if status == 200 and kind in SAME and service == self.service:
                self.compare((service % 2, kind, seed), answer.partition(b"\r\n\r\n")[2])
            if writer and (status == ENDING or b"connection: close" in answer):
                writer.close()
                reader = writer = None
                await asyncio.sleep(0.02)

    def see_failure(self, kind: str, answer: bytes) -> None:
        """Record a reply that is missing or cut off."""
        self.n_again += 1
        if answer:
            is_late = self.stopped_at and time.monotonic() > self.stopped_at + TIMEOUT_S
            (self.timed_out if is_late else self.lost)[kind] += 1

    def compare(self, key: tuple[int, str, int], text: bytes) -> None:
        """Compare a reply with an earlier one to the same request, maybe of another process."""
        self.n_compared += key in self.texts
        self.n_different += self.texts.setdefault(key, text) != text

    def show(self) -> bool:
        """Print the results and return whether something is wrong."""
        for (kind, status), n in sorted(self.statuses.items()):
            times = sorted(self.latencies[kind])
            p50, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
            print(f"{kind:10} {status}: {n:9,}  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms")
        n = sum(self.statuses.values())
        print(f"{n / self.seconds:,.0f} responses/s, {self.n_again:,} retried")
        for of_process in filter(None, self.memory):
            first, last = of_process[len(of_process) // 4], of_process[-1]
            print(
                f"memory: {first / 2**20:.1f} MiB at the start, {last / 2**20:.1f} MiB at the end "
                f"({last / first - 1:+.1%})"
            )
        wrong = {
            (kind, status): n
            for (kind, status), n in self.statuses.items()
            if status not in (*KINDS[kind][3], ENDING)
        }
        print(f"unexpected responses: {wrong or 'none'}")
        print(f"interrupted replies: {dict(self.lost) or 'none'}")
        print(f"cut off at the time limit of a stop: {dict(self.timed_out) or 'none'}")
        print(f"{self.n_compared:,} replies compared: {self.n_different} different")
        return bool(wrong or self.lost or self.n_different)


def request(kind: str, seed: int) -> bytes:
    _, page, body, _ = KINDS[kind]
    if body is None:
        return f"GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    text = json.dumps({**body, "seed": seed})
    head = f"POST {page} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Read the rest of a reply after its first byte; raise EOFError if the reply is truncated."""
    head = await reader.readuntil(b"\r\n\r\n")
    if length := re.search(rb"content-length: (\d+)", head):
        return head + await reader.readexactly(int(length[1]))
    body = await reader.readuntil(b"\r\n0\r\n\r\n")
    if not body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
        raise EOFError
    return head + body


if __name__ == "__main__":
    main()
