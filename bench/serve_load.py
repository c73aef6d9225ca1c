"""Measure the requests per second and the latency of the service, next to a bare FastAPI app.

    uv run python bench/serve_load.py [--seconds 5] [--rounds 3] [--connections 32]

Alternates between five kinds of load: `generate` of one name by Karpathy's model; `chat` and a
streamed reply of the demo model, to 64 held-out conversations; and the routes of `generate` and of
the stream in a bare FastAPI app that always answers the same. Each of the concurrent clients sends
its next request after a reply. Prints the requests per second, the time to the first text, and the
processor time of the server per request. The clients share the cores with the server: compare the
ratios to the bare app.
"""

import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import uvloop
from harness import parsed
from machine import machine
from service import serving
from tables import headed

from microgpt import load_text, save, train
from microgpt.data.documents import DEMO_MODEL, bundled, load_conversations

GENERATE, CHAT, STREAM = "/microgpt/v1/generate", "/microgpt/v1/chat", "/v1/chat/completions"
PATHS = {  # of each kind of load
    "generate": GENERATE,
    "generate, bare FastAPI": GENERATE,
    "chat": CHAT,
    "stream": STREAM,
    "stream, bare FastAPI": STREAM,
}
N_TALKS = 64
HAS_TEXT = re.compile(rb'"content":"[^"]|"samples":\[').search


def main() -> None:
    """Compare the kinds of load."""
    if sys.argv[1:2] == ["--bare"]:
        serve_bare()
        return
    options = parsed(__doc__, seconds=5.0, rounds=3, connections=32)
    rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in PATHS}
    with tempfile.TemporaryDirectory() as folder:
        save(train(load_text(bundled("names.txt"))), f"{folder}/names")
        for _ in range(options.rounds):
            for kind, each in rounds.items():
                model = f"{folder}/names" if kind == "generate" else bundled(DEMO_MODEL)
                command = [sys.executable, "-m", "microgpt_cli", "serve", str(model), "--port", "0"]
                if "bare" in kind:
                    command = [sys.executable, str(Path(__file__).resolve()), "--bare"]
                # uvloop keeps the overhead of the clients low.
                runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
                with serving(command) as service, runner as clients:
                    where = kind, service.port, options.connections
                    clients.run(load(*where, 1))  # warm-up
                    process = psutil.Process(service.pid)
                    before = sum(process.cpu_times()[:2])
                    found = clients.run(load(*where, options.seconds))
                    used = sum(process.cpu_times()[:2]) - before
                each.append({**found, "cpu_us": 1e6 * used / found.pop("replies")})
    median = {
        kind: {name: statistics.median(one[name] for one in each) for name in each[0]}
        for kind, each in rounds.items()
    }
    print(load_table(median), machine(all_cores=True), sep="\n\n")


def serve_bare() -> None:
    """Serve the routes without a model, queue or middleware."""
    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    from microgpt_serve.bodies import GenerateRequest
    from microgpt_serve.routes import GenerateResponse

    app = FastAPI()

    @app.post(GENERATE)
    async def generate(body: GenerateRequest) -> GenerateResponse:
        return {"samples": ["anna"]}

    @app.post(STREAM)
    async def stream(body: dict[str, Any]) -> StreamingResponse:
        async def pieces() -> Any:
            yield b'data: {"choices":[{"delta":{"content":"a reply of words"}}]}\n\n'
            yield b"data: [DONE]\n\n"

        return StreamingResponse(pieces(), media_type="text/event-stream")

    uvicorn.run(app, port=0, access_log=False)


def bodies(kind: str) -> Iterator[dict[str, Any]]:
    """Yield the requests of a kind of load."""
    if kind.startswith("generate"):
        yield {"seed": 42}
        return
    talks = load_conversations(bundled("chat_heldout.jsonl"))
    for seed, talk in enumerate(random.Random(1).sample(talks, N_TALKS)):
        last = max(i for i, message in enumerate(talk) if message.role == "user")
        messages = [asdict(message) for message in talk[: last + 1]]
        more = {"stream": True} if kind.startswith("stream") else {}
        yield {"messages": messages, "seed": seed, **more}


async def load(kind: str, port: int, n_clients: int, seconds: float) -> dict[str, float]:
    """Run clients concurrently, and return their throughput and latencies."""
    head = f"POST {PATHS[kind]} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    texts = [json.dumps(body) for body in bodies(kind)]
    requests = [f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode() for text in texts]
    loop, started = asyncio.get_running_loop(), time.perf_counter()
    clients = [Client(requests, i, started + seconds) for i in range(n_clients)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.gather(*(client.ended for client in clients))
    took = time.perf_counter() - started
    firsts = sorted(first for client in clients for first in client.firsts)
    return {
        "replies": len(firsts),
        "rps": len(firsts) / took,
        "p50_ms": 1000 * firsts[len(firsts) // 2],
        "p99_ms": 1000 * firsts[len(firsts) * 99 // 100],
    }


class Client(asyncio.Protocol):
    """A connection that sends the next request after each reply."""

    def __init__(self, requests: list[bytes], number: int, until: float) -> None:
        self.requests, self.number, self.until = requests, number, until
        self.ended = asyncio.get_running_loop().create_future()
        self.firsts: list[float] = []

    def connection_made(self, transport: Any) -> None:  # noqa: D102
        self.transport = transport
        self.ask()

    def ask(self) -> None:  # noqa: D102
        self.received, self.has_text, self.asked = b"", False, time.perf_counter()
        self.transport.write(self.requests[self.number % len(self.requests)])

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self.received += data
        if not self.has_text and HAS_TEXT(self.received):
            assert self.received.startswith(b"HTTP/1.1 200"), self.received
            self.has_text = True
            self.firsts.append(time.perf_counter() - self.asked)
        head, _, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if body.endswith(b"0\r\n\r\n") if not length else len(body) >= int(length[1]):
            self.number += 1
            if time.perf_counter() < self.until:
                self.ask()
            else:
                self.transport.close()
                self.ended.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: D102
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionError(self.received))


def load_table(median: dict[str, dict[str, float]]) -> str:
    """Return a table of the throughput and latencies of each kind of load."""
    head = ["", "requests/s", "first text, p50 ms", "p99 ms", "processor time per request"]
    lines = [
        [kind, f"{one['rps']:,.0f}", f"{one['p50_ms']:.1f}", f"{one['p99_ms']:.1f}",
         f"{one['cpu_us']:.0f} µs"]
        for kind, one in median.items()
    ]  # fmt: skip
    return headed(head, lines)


if __name__ == "__main__":
    main()
