"""Soak-test the service: half an hour of mixed load and restarts.

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
import os
import random
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from typing import Any

import psutil
import serving
from harness import command, machine, parsed

from microgpt_serve.service_settings import ServiceSettings

MEASURE_S = 3  # interval between measurements of memory, in seconds
TIMEOUT_S = ServiceSettings.model_fields["timeout_s"].default  # grace period of a stopping process
SAME = ("one text", "50 texts", "chat")  # kinds whose reply depends only on model and seed
SERVICES = 12
TRAIN = ("--steps", "100", "--n-embd", "64", "--n-layer", "2", "--block-size", "256")
TALK = [{"role": "user", "content": "tell me a story about everything that there is"}]
CHAT_ONLY = (200, 400)  # expected statuses; the model of names refuses a chat with 400
# Kinds of requests: weight, path, body and expected statuses.
KINDS: dict[str, tuple[int, str, dict[str, Any] | None, tuple[int, ...]]] = {
    "one text": (20, serving.GENERATE, {}, (200,)),
    "50 texts": (3, serving.GENERATE, {"num_samples": 50}, (200,)),
    "chat": (15, serving.CHAT, {"messages": serving.HELLO, "temperature": 1}, CHAT_ONLY),
    "stream": (25, serving.OPENAI_CHAT, {"messages": TALK, "stream": True, "n": 3}, CHAT_ONLY),
    "completion": (10, serving.COMPLETIONS, {"prompt": "what", "stop": "?"}, (200,)),
    "long": (3, serving.COMPLETIONS, {"prompt": "a", "n": 8, "max_tokens": 2000}, (200,)),
    "streamed": (5, serving.COMPLETIONS, {"n": 2, "stream": True}, (200,)),
    "hangs up": (10, serving.COMPLETIONS, {"stream": True, "n": 50, "temperature": 3}, (200,)),
    "goes away": (3, serving.COMPLETIONS, {"n": 50, "max_tokens": 2000}, (200,)),
    "bad": (5, serving.COMPLETIONS, {"temperature": -1}, (400,)),
    "unknown": (2, "/v1/nowhere", None, (404,)),
    "models": (5, "/v1/models", None, (200,)),
    "health": (5, "/health", None, (200,)),
}
LEAVING = {"hangs up": 0.02, "goes away": 0.2}  # seconds before a client closes its connection
ENDING = 503  # status of the replies of a process that is shutting down
LAST = b"data: [DONE]\n\n\r\n0\r\n\r\n"  # last bytes of a complete stream


def main() -> None:
    options = parsed(__doc__, minutes=30.0, connections=16)
    print(machine(all_cores=True))
    with tempfile.TemporaryDirectory() as folder:
        command("train", *TRAIN, "--model", f"{folder}/names")
        load = Load(f"{folder}/names", options.minutes * 60)
        asyncio.run(load.run(options.connections))
    raise SystemExit(load.show())


class Load:
    """Runs the clients and the service processes, and records the results."""

    def __init__(self, names: str, seconds: float) -> None:
        self.names, self.seconds = names, seconds
        self.service = -1  # number of the running service
        self.stopped_at: float | None = None
        self.timed_out: Counter[str] = Counter()  # replies cut off by a stop's time limit, by kind
        self.texts: dict[tuple[int, str, int], bytes] = {}  # text by model, kind and seed
        self.n_compared, self.n_different, self.n_again = 0, 0, 0
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.latencies: defaultdict[str, list[float]] = defaultdict(list)
        self.lost: Counter[str] = Counter()
        self.memory: list[list[int]] = []
        self.port = 0  # 0 until the first service has chosen a free port

    async def run(self, n_connections: int) -> None:
        """Run the service processes one after another; clients send requests throughout."""
        self.until = time.monotonic() + self.seconds
        clients = asyncio.gather(*map(self.client, range(n_connections)))
        for number in range(SERVICES):
            self.service = number
            model = {"MODEL_DIR": self.names} if number % 2 else {}
            start = serving.started(environment=os.environ | model, port=self.port)
            with ExitStack() as stack:
                service = await asyncio.to_thread(stack.enter_context, start)
                self.port = service.port
                process, sizes = psutil.Process(service.pid), list[int]()
                ends = self.until - self.seconds * (1 - (number + 1) / SERVICES)
                while (left := ends - time.monotonic()) > 0:
                    await asyncio.sleep(min(MEASURE_S, left))
                    sizes.append(process.memory_info().rss)
                self.memory.append(sizes)
                self.stopped_at = time.monotonic()
                await asyncio.to_thread(stack.close)
                self.stopped_at = None
        await clients

    async def client(self, number: int) -> None:
        """Send requests of random kinds; open a new connection after a reply that is cut off."""
        rng, connection = random.Random(number), None
        while time.monotonic() < self.until - 1:
            kind = rng.choices(list(KINDS), [share for share, *_ in KINDS.values()])[0]
            seed, answer = rng.randrange(10**6 if kind not in SAME else 100), b""
            service, started = self.service, time.perf_counter()
            try:
                if connection is None:
                    connection = await asyncio.open_connection("127.0.0.1", self.port)
                reader, writer = connection
                _, path, body, _ = KINDS[kind]
                body = None if body is None else {**body, "seed": seed}
                writer.write(serving.request(path, body))
                answer = b"?" if kind == "goes away" else await reader.read(1)
                if not answer:
                    raise ConnectionResetError
                if kind in LEAVING:
                    await asyncio.sleep(rng.random() * LEAVING[kind])
                else:
                    answer = await serving.rest(reader, answer)
                    if b"chunked" in answer and not answer.endswith(LAST):
                        raise EOFError
                self.see_reply(kind, seed, service, answer, time.perf_counter() - started)
                ends = answer[9:12] == b"503" or b"connection: close" in answer
                is_open = kind not in LEAVING and not ends
            except (OSError, EOFError):
                self.see_failure(kind, answer)
                is_open = False
            if not is_open and connection:
                connection[1].close()
            if not is_open:
                connection = None
                await asyncio.sleep(0.02)

    def see_reply(self, kind: str, seed: int, service: int, answer: bytes, took: float) -> None:
        """Record a reply, and compare it with an earlier one to the same request."""
        status = int(answer[9:12] or 200)
        self.latencies[kind].append(took)
        self.statuses[kind, status] += 1
        if status == 200 and kind in SAME and service == self.service:
            key, text = (service % 2, kind, seed), answer.partition(b"\r\n\r\n")[2]
            self.n_compared += key in self.texts
            self.n_different += self.texts.setdefault(key, text) != text

    def see_failure(self, kind: str, answer: bytes) -> None:
        """Record a reply that is missing or cut off."""
        self.n_again += 1
        if answer:
            is_late = self.stopped_at and time.monotonic() > self.stopped_at + TIMEOUT_S
            (self.timed_out if is_late else self.lost)[kind] += 1

    def show(self) -> bool:
        """Print the results and return whether something is wrong."""
        for (kind, status), n in sorted(self.statuses.items()):
            p50, p99 = serving.percentiles(self.latencies[kind])
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


if __name__ == "__main__":
    main()
