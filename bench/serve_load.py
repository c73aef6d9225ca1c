"""Compare the requests per second and the latency of the service with those of a bare FastAPI app.

    uv run python bench/serve_load.py [--seconds 5] [--rounds 3] [--connections 32]

Alternates between five kinds of load: `generate` of one name by Karpathy's model; `chat` and a
streamed reply of the demo model, to 64 held-out conversations; and the routes of `generate` and of
the stream in a bare FastAPI app, which returns constant responses. Each of the concurrent clients
sends a request as soon as the previous one is answered. Prints the requests per second, the time to
the first text, and the server's processor time per request. As the clients share the cores with the
server, only the ratios to the bare app are meaningful.
"""

import asyncio
import random
import re
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil
import uvloop
from harness import headed, machine, parsed, store
from serving import CHAT, GENERATE, OPENAI_CHAT, percentiles, request, rest, started

from microgpt import DEMO_MODEL, bundled, load_conversations, load_text, save, train

PATHS = {  # URL path by kind of load
    "generate": GENERATE,
    "generate, bare FastAPI": GENERATE,
    "chat": CHAT,
    "stream": OPENAI_CHAT,
    "stream, bare FastAPI": OPENAI_CHAT,
}
BARE = [sys.executable, str(Path(__file__).resolve()), "--bare"]
N_TALKS = 64
HAS_TEXT = re.compile(rb'"content":"[^"]|"samples":\[').search


def main() -> None:
    if sys.argv[1:2] == ["--bare"]:
        serve_bare()
        return
    options = parsed(__doc__, seconds=5.0, rounds=3, connections=32)
    rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in PATHS}
    serve = [sys.executable, "-m", "microgpt_cli", "serve"]
    with tempfile.TemporaryDirectory() as folder:
        save(train(load_text(bundled("names.txt"))), f"{folder}/names")
        for _ in range(options.rounds):
            for kind, each in rounds.items():
                model = f"{folder}/names" if kind == "generate" else str(bundled(DEMO_MODEL))
                with started(BARE if "bare" in kind else [*serve, model]) as service:
                    each.append(measured(kind, service.port, service.pid, options))
    median = {
        kind: {name: statistics.median(one[name] for one in each) for name in each[0]}
        for kind, each in rounds.items()
    }
    found = {"machine": machine(all_cores=True), "loads": median}
    print(load_table(store("serve_load", found, options)))


def serve_bare() -> None:
    """Serve the routes with constant responses, without a model, queue or middleware."""
    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    from microgpt_serve.bodies import GenerateRequest
    from microgpt_serve.routes import GenerateResponse

    app = FastAPI()

    @app.post(GENERATE)
    async def generate(body: GenerateRequest) -> GenerateResponse:
        return {"samples": ["anna"]}

    @app.post(OPENAI_CHAT)
    async def stream(body: dict[str, Any]) -> StreamingResponse:
        async def pieces() -> Any:
            yield b'data: {"choices":[{"delta":{"content":"a reply of words"}}]}\n\n'
            yield b"data: [DONE]\n\n"

        return StreamingResponse(pieces(), media_type="text/event-stream")

    uvicorn.run(app, port=0, access_log=False)


def measured(kind: str, port: int, pid: int, options: Any) -> dict[str, float]:
    """Return the throughput and the latencies of a kind of load, after a warm-up."""
    process = psutil.Process(pid)
    # uvloop keeps the overhead of the clients low.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as clients:
        clients.run(load(kind, port, options.connections, 1))
        before, started = sum(process.cpu_times()[:2]), time.perf_counter()
        firsts = clients.run(load(kind, port, options.connections, options.seconds))
        took, used = time.perf_counter() - started, sum(process.cpu_times()[:2]) - before
    p50, p99 = percentiles(firsts)
    rps, cpu_us = len(firsts) / took, 1e6 * used / len(firsts)
    return {"rps": rps, "p50_ms": p50, "p99_ms": p99, "cpu_us": cpu_us}


async def load(kind: str, port: int, n_clients: int, seconds: float) -> list[float]:
    """Run clients concurrently; return the time from each request to its first text, in seconds."""
    requests = [request(PATHS[kind], body) for body in bodies(kind)]
    until = time.perf_counter() + seconds
    clients = (client(port, requests[i:] + requests[:i], until) for i in range(n_clients))
    return [first for found in await asyncio.gather(*clients) for first in found]


def bodies(kind: str) -> list[dict[str, Any]]:
    """Return the JSON bodies of the requests of a kind of load."""
    if kind.startswith("generate"):
        return [{"seed": 42}]
    found = []
    talks = load_conversations(bundled("chat_heldout.jsonl"))
    for seed, talk in enumerate(random.Random(1).sample(talks, N_TALKS)):
        last = max(i for i, message in enumerate(talk) if message.role == "user")
        messages = [asdict(message) for message in talk[: last + 1]]
        more = {"stream": True} if kind.startswith("stream") else {}
        found.append({"messages": messages, "seed": seed, **more})
    return found


async def client(port: int, requests: list[bytes], until: float) -> list[float]:
    """Send requests one by one; return the time from each request to its first text, in seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    firsts = []
    for each in cycle(requests):
        if (asked := time.perf_counter()) > until:
            break
        writer.write(each)
        answer = b""
        while not HAS_TEXT(answer):
            more = await reader.read(2**16)
            assert more, answer
            answer += more
        firsts.append(time.perf_counter() - asked)
        answer = await rest(reader, answer)
        assert answer.startswith(b"HTTP/1.1 200"), answer
    writer.close()
    return firsts


def load_table(kept: dict[str, Any]) -> str:
    """Return a table of the throughput and latencies of each kind of load."""
    head = ["", "requests/s", "first text, p50 ms", "p99 ms", "processor time per request"]
    lines = [
        [kind, f"{one['rps']:,.0f}", f"{one['p50_ms']:.1f}", f"{one['p99_ms']:.1f}",
         f"{one['cpu_us']:.0f} µs"]
        for kind, one in kept["loads"].items()
    ]  # fmt: skip
    return headed(head, lines, kept)


TABLES = {"serve_load": load_table}

if __name__ == "__main__":
    main()
