"""Measure the characters per second of streamed replies, and the share of time spent generating.

    uv run python bench/serve_streams.py [--streams 32] [--seconds 10] [--rounds 3]

The demo model replies to 64 conversations of data/chat_heldout.jsonl through
`/v1/chat/completions`. Each of --streams concurrent clients sends the next request after a reply.
This alternates with the same route, middleware, queue and threads, but precomputed replies in the
same chunks. Prints the characters per second, the time to the first chunk, and the share of the
precomputed replies' speed, and writes them to bench/results.
"""

import asyncio
import json
import random
import re
import statistics
import sys
import time
from dataclasses import asdict
from typing import Any, ClassVar
from urllib.request import Request, urlopen

import uvloop
from harness import parsed, store
from machine import machine
from service import serving
from tables import Rows, of_machines

from microgpt.data.documents import bundled, load_conversations
from microgpt.data.tokenizer import Message

PAGE = "/v1/chat/completions"
N_TALKS = 64
KINDS = ("demo model", "canned")
HAS_TEXT = re.compile(rb'"content":"[^"]').search


def main() -> None:
    """Compare the demo model with precomputed replies, and write the results."""
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
        return
    options = parsed(__doc__, streams=32, seconds=10.0, rounds=3)
    rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(options.rounds):
        for kind in KINDS:
            with serving([sys.executable, __file__, "--serve", kind]) as service:
                # The clients share the cores with the service, so uvloop keeps their overhead low.
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as clients:
                    clients.run(load(service.port, options.streams, 1))  # warm-up
                    measured = clients.run(load(service.port, options.streams, options.seconds))
                rounds[kind].append(measured)
    median = {
        kind: {name: statistics.median(one[name] for one in each) for name in each[0]}
        for kind, each in rounds.items()
    }
    found = {"machine": machine(all_cores=True), "streams": options.streams}
    found |= {"median": median, "rounds": rounds}
    print(TABLES["streams"](store("serve_streams", found, options)))
    share = median["demo model"]["characters"] / median["canned"]["characters"]
    print(f"characters per second: {share:.0%} of those of precomputed replies")


def serve(kind: str) -> None:
    """Run the service, with precomputed replies if `kind` is "canned"."""
    from microgpt_serve import batch_scheduler, service
    from microgpt_serve.settings import read_settings

    if kind == "canned":
        Canned.real = batch_scheduler.Batch
        batch_scheduler.Batch = Canned  # type: ignore[misc, assignment]
    service.serve(read_settings(port=0, queue_limit=10_000))


class Canned:
    """A batch that returns cached replies. The real batch generates new ones."""

    real: ClassVar[Any]
    known: ClassVar[dict[Any, Any]] = {}

    arrays = None

    def __init__(self, model: Any, jobs: list[Any], arrays: Any) -> None:
        new = [job for job in jobs if self.key(job) not in self.known]
        if new:
            batch = self.real(model, new)
            while batch.open:
                for number, continuations in batch.run():
                    self.known[self.key(new[number])] = continuations
        self.done = [(number, self.known[self.key(job)]) for number, job in enumerate(jobs)]

    @staticmethod
    def key(job: Any) -> Any:  # noqa: D102
        return (*map(tuple, job.prompts), job.seeds)

    def run(self) -> list[Any]:  # noqa: D102
        return self.done


def conversations(n: int) -> list[list[Message]]:
    """Return n conversations, each truncated after the last user message."""
    talks = load_conversations(bundled("chat_heldout.jsonl"))
    found = []
    for talk in random.Random(1).sample(talks, n):
        last = max(i for i, message in enumerate(talk) if message.role == "user")
        found.append(list(talk[: last + 1]))
    return found


def requests() -> list[bytes]:
    """Return the request bodies of the conversations."""
    return [
        json.dumps({"messages": [asdict(message) for message in talk], "seed": seed}).encode()
        for seed, talk in enumerate(conversations(N_TALKS))
    ]


async def load(port: int, n_streams: int, seconds: float) -> dict[str, float]:
    """Run n_streams clients concurrently, and return their throughput and latencies."""
    bodies = requests()
    lengths = [len(whole(port, body)) for body in bodies]
    head = f"POST {PAGE} HTTP/1.1\r\nHost: localhost\r\n"
    head += "Content-Type: application/json\r\nContent-Length: "
    streamed = [
        head.encode() + b"%d\r\n\r\n%b" % (len(text), text)
        for text in (body[:-1] + b', "stream": true}' for body in bodies)
    ]
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + seconds
    clients = [Client(streamed, i, until) for i in range(n_streams)]
    started = time.perf_counter()
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.gather(*(client.ended for client in clients))
    took = time.perf_counter() - started
    firsts = sorted(first for client in clients for first in client.firsts)
    n_characters = sum(lengths[number] for client in clients for number in client.done)
    return {
        "replies": len(firsts) / took,
        "characters": n_characters / took,
        "first_p50_ms": 1000 * firsts[len(firsts) // 2],
        "first_p99_ms": 1000 * firsts[len(firsts) * 99 // 100],
    }


def whole(port: int, body: bytes) -> str:
    """Request a reply without streaming, and return its text."""
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"http://127.0.0.1:{port}{PAGE}", body, headers)) as response:
        text: str = json.load(response)["choices"][0]["message"]["content"]
        return text


class Client(asyncio.Protocol):
    """A connection that sends the next request after each reply."""

    def __init__(self, bodies: list[bytes], number: int, until: float) -> None:
        self.bodies, self.number, self.until = bodies, number, until
        self.ended = asyncio.get_running_loop().create_future()
        self.firsts: list[float] = []
        self.done: list[int] = []

    def connection_made(self, transport: Any) -> None:  # noqa: D102
        self.transport = transport
        self.ask()

    def ask(self) -> None:  # noqa: D102
        self.received = b""
        self.has_piece = False
        self.asked = time.perf_counter()
        self.transport.write(self.bodies[self.number])

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if not self.has_piece:
            self.received += data
            if HAS_TEXT(self.received):
                assert self.received.startswith(b"HTTP/1.1 200"), self.received
                self.has_piece = True
                self.firsts.append(time.perf_counter() - self.asked)
        if data.endswith(b"0\r\n\r\n"):
            self.done.append(self.number)
            self.number = (self.number + 1) % len(self.bodies)
            if time.perf_counter() < self.until:
                self.ask()
            else:
                self.transport.close()
                self.ended.set_result(None)


def streams_rows(streams: dict) -> Rows:
    """Return the median throughput and waiting times of streamed replies, and of canned ones."""
    numbers = {
        "replies": ",.0f",
        "characters": ",.0f",
        "first_p50_ms": ".1f",
        "first_p99_ms": ".1f",
    }
    return [
        [kind, *(format(one[name], spec) for name, spec in numbers.items())]
        for kind, one in streams["median"].items()
    ]


TABLES = {
    "streams": of_machines(
        ["", "replies/s", "characters/s", "first chunk, p50 ms", "p99 ms"], streams_rows
    )
}

if __name__ == "__main__":
    main()
