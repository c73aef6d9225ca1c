"""Soak test of the service: half an hour of mixed load, reloads and restarts.

    uv run python bench/serve_mixed.py [--minutes 30] [--connections 16] [--processes 1]
        [--disk DIR] [--clock] [--group DIR]

Clients send concurrent requests of every kind: texts, replies, streams, scores and
log-probabilities. Some requests must be refused, and some clients disconnect early. Meanwhile, the
model is reloaded every three seconds, and the process is stopped (SIGTERM) and replaced, twelve
times in total; processes with the demo model and with a model of names, which can score, take
turns. A truncated reply counts as lost. Like a proxy, clients retry if no process is listening or
if a stopping process closes the connection. Prints the responses of each kind with their latencies,
the lost replies, and the memory of each process. Ends with status 1 if a reply was lost, a status
was neither expected nor 503, or a seed did not always give the same text.

With --processes, a service has several, of which one is killed every ten seconds. Clients retry.
A reply that is cut off within a second after a kill is counted, but is not lost. The first process
of every second service is killed instead of stopped, and must not lose a reply. A service that is
stopped waits for replies up to its time limit; those that take longer are counted apart.

The other options add faults:

--disk DIR       a small, empty file system (a tmpfs of 16 MB), which holds the model. Training runs
                 replace the model meanwhile, and the disk is almost full for some of them. These
                 must end with one line, and leave the old model.
--clock          at each reload, the clock of the service jumps by up to a year (needs cc).
--group DIR      a memory cgroup (version 1) with a limit, for the service. Every half minute,
                 another process in it takes memory until Linux kills one of the service. The
                 limit should be more than the service needs.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from machine import machine
from tqdm import tqdm

from microgpt_serve.settings import Settings

RELOAD_S, KILL_S, EXHAUST_S = 3, 10, 30
KILLED_S = 1.0  # time after a kill in which a reply may end early
TIMEOUT_S = Settings.model_fields["timeout_s"].default  # for which a stopped service goes on
SAME = ("one text", "50 texts", "chat")  # kinds whose reply depends only on the seed
SERVICES = 12
CLOCK_SOURCE = Path(__file__).with_name("clock_offset.c")
DAY_S = 86400
JUMPS = (0, 90, -90, DAY_S, -DAY_S, 365 * DAY_S, -365 * DAY_S)  # of the clock, in seconds
TRAIN = ("--steps", "100", "--n-embd", "64", "--n-layer", "2", "--block-size", "256", "--force")
# Takes memory until a process of the cgroup is killed. Each child has too little to be chosen.
TAKE_MEMORY = """
import os, signal, sys, time
from pathlib import Path
control = Path(sys.argv[1], "memory.oom_control")
before, children = control.read_text(), []
while control.read_text().split()[-1] == before.split()[-1]:
    if not (child := os.fork()):
        held = bytearray(2**25)
        signal.pause()
    children.append(child)
    time.sleep(0.05)
for child in children:
    os.kill(child, signal.SIGKILL)
"""
HELLO = [{"role": "user", "content": "hello"}]
TALK = [{"role": "user", "content": "tell me a story about everything that there is"}]
SCORE = "/microgpt/v1/score"
NAMES = ["emma", "olivia", "xqrt"] * 40
CHAT_ONLY, TEXT_ONLY = (200, 400), (200, 400)  # the other model refuses such a request
# Kinds of requests: weight, path, body and expected statuses.
KINDS: dict[str, tuple[int, str, dict[str, Any] | None, tuple[int, ...]]] = {
    "one text": (20, "/microgpt/v1/generate", {}, (200,)),
    "50 texts": (3, "/microgpt/v1/generate", {"num_samples": 50}, (200,)),
    "chat": (15, "/microgpt/v1/chat", {"messages": HELLO, "temperature": 1}, CHAT_ONLY),
    "stream": (25, "/v1/chat/completions", {"messages": TALK, "stream": True, "n": 3}, CHAT_ONLY),
    "completion": (10, "/v1/completions", {"prompt": "what", "logprobs": 3, "stop": "?"}, (200,)),
    "likely": (3, "/v1/completions", {"prompt": "a", "logprobs": 20, "n": 8}, (200,)),
    "streamed": (5, "/v1/completions", {"logprobs": 5, "n": 2, "stream": True}, (200,)),
    "long text": (1, SCORE, {"texts": ["anna" * 400]}, TEXT_ONLY),
    "score": (5, SCORE, {"texts": NAMES, "characters": True}, TEXT_ONLY),
    "hangs up": (10, "/v1/completions", {"stream": True, "n": 50, "temperature": 3}, (200,)),
    "goes away": (3, SCORE, {"texts": ["anna" * 800]}, TEXT_ONLY),
    "bad": (5, "/v1/completions", {"temperature": -1}, (400,)),
    "unknown": (2, "/v1/nowhere", None, (404,)),
    "models": (5, "/v1/models", None, (200,)),
    "health": (5, "/health", None, (200,)),
}
LEAVING = {"hangs up": 0.02, "goes away": 0.2}  # seconds, after the first byte or the request
MAX_REPLY = 2**20  # bytes of a stream, which has more than 200 for each token
ENDING = 503  # status of replies while the process is shutting down


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--disk", type=Path)
    parser.add_argument("--clock", action="store_true")
    parser.add_argument("--group", type=Path)
    options = parser.parse_args()
    if options.group and options.processes < 2:
        parser.error("--group needs --processes 2 or more")
    facts = machine(all_cores=True)
    print(
        f"{facts}; {options.connections} connections, {options.minutes:g} minutes, "
        f"{options.processes} processes"
    )
    with tempfile.TemporaryDirectory() as folder:
        load = Load(Path(folder), options)
        asyncio.run(load.run(options.connections))
    raise SystemExit(load.show())


class Load:
    """Runs the clients and the service processes, and records the results."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.disk, self.group = folder, options.disk, options.group
        self.seconds, self.n_processes = options.minutes * 60, options.processes
        self.names = (self.disk or folder).resolve() / "names"
        self.has_clock, self.clock = options.clock, folder / "clock"
        self.library = folder / "clock_offset.so"
        self.trainings: Counter[str] = Counter()
        self.n_out_of_memory = 0  # processes killed because of the limit of the cgroup
        self.service = -1  # number of the running one
        self.process: subprocess.Popen[bytes] | None = None
        self.n_killed, self.killed_at = 0, -KILLED_S
        self.cut_off: Counter[str] = Counter()
        self.is_stopping, self.stopped_at = False, 0.0
        self.timed_out: Counter[str] = Counter()  # cut off at the end of the time limit
        self.texts: dict[tuple[int, str, int], bytes] = {}  # by model, kind and seed
        self.n_compared, self.n_different = 0, 0
        self.answered: Counter[bytes] = Counter()  # by process
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.latencies: defaultdict[str, list[float]] = defaultdict(list)
        self.lost: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()  # why a request got 503
        self.n_again = 0
        self.memory: list[list[int]] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    async def run(self, n_connections: int) -> None:  # noqa: D102
        self.until = time.monotonic() + self.seconds
        train_names(self.names)
        self.jump(0)
        if self.has_clock:
            command = ["cc", "-shared", "-fPIC", "-o", self.library, CLOCK_SOURCE, "-ldl"]
            subprocess.run(command, check=True)
        clients = (self.client(i) for i in range(n_connections))
        others = [self.train()] * bool(self.disk) + [self.exhaust_memory()] * bool(self.group)
        try:
            await asyncio.gather(self.processes(), *clients, *others)
        finally:
            if self.process:  # something has failed: the service must not go on
                self.process.kill()

    async def processes(self) -> None:
        """Run the service processes one after another, reloading the model of each periodically."""
        bar = tqdm(total=SERVICES, unit="service")
        for number in range(SERVICES):
            ends = self.until - self.seconds * (1 - (number + 1) / SERVICES)
            log = self.folder / f"{number}.log"
            process = await self.start(number, log)
            family = psutil.Process(process.pid)
            await self.watch(process, ends)
            children = family.children() if process.poll() is None else []
            is_killed = self.n_processes > 1 and number % 2 == 1
            process.send_signal(signal.SIGKILL if is_killed else signal.SIGTERM)
            self.is_stopping, self.stopped_at = True, time.monotonic()
            while process.poll() is None or any(child.is_running() for child in children):
                await asyncio.sleep(0.05)
            self.is_stopping = False
            text = log.read_text()
            if process.returncode != -signal.SIGKILL * is_killed or "Traceback" in text:
                raise SystemExit(f"status {process.returncode}\n{text[-3000:]}")
            log.unlink()
            bar.update()
        bar.close()

    async def start(self, number: int, log: Path) -> subprocess.Popen[bytes]:
        """Start a service process and wait until it serves."""
        env = {**os.environ, "PORT": str(self.port)}
        env["MICROGPT_PROCESSES"] = str(self.n_processes)
        if self.has_clock:
            env |= {"LD_PRELOAD": str(self.library), "CLOCK_OFFSET": str(self.clock)}
        if number % 2:
            env["MODEL_DIR"] = str(self.names)
        self.service = number
        with log.open("wb") as stderr:
            process = self.process = subprocess.Popen(
                [Path(sys.executable).parent / "microgpt-serve"],
                cwd=self.folder,
                env=env,
                stderr=stderr,
                preexec_fn=self.join_group,
            )
        while "serving " not in log.read_text():
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            await asyncio.sleep(0.05)
        return process

    def join_group(self) -> None:
        """Move this process to the memory cgroup."""
        if self.group:
            (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def jump(self, seconds: int) -> None:
        """Set the clock of the service to that of this computer plus some seconds."""
        with self.clock.open("r+b" if self.clock.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    async def train(self) -> None:
        """Replace the model of names again and again, with the disk full at a random moment."""
        rng, filler = random.Random(0), self.disk / "filler"
        size = sum(file.stat().st_size for file in self.names.iterdir())
        while time.monotonic() < self.until - 1:
            free = shutil.disk_usage(self.disk).free - rng.randrange(3 * size)
            filler.write_bytes(b"0" * max(0, free))
            process = await asyncio.create_subprocess_exec(
                *(Path(sys.executable).parent / "microgpt", "train", *TRAIN),
                *("--model", self.names),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            lines = (await process.communicate())[1].decode().strip().splitlines()
            said = [line for line in lines if not line.startswith(("note: ", "step "))]
            filler.unlink()
            if process.returncode and (len(said) != 1 or "No space left" not in said[0]):
                raise SystemExit("\n".join(said))
            self.trainings["refused" if process.returncode else "finished"] += 1

    async def exhaust_memory(self) -> None:
        """Let memory run out in the cgroup again and again, until a process is killed."""
        while time.monotonic() < self.until - EXHAUST_S:
            await asyncio.sleep(EXHAUST_S)
            while not self.is_complete():  # or Linux would kill the first process
                if time.monotonic() > self.until:
                    return
                await asyncio.sleep(1)
            taker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", TAKE_MEMORY, self.group), preexec_fn=self.join_group
            )
            await taker.wait()

    def is_complete(self) -> bool:
        """Return whether the service has all its processes."""
        with suppress(psutil.NoSuchProcess):
            return len(psutil.Process(self.process.pid).children()) == self.n_processes
        return False

    async def watch(self, process: subprocess.Popen[bytes], until: float) -> None:  # noqa: D102
        of_process: list[int] = []
        self.memory.append(of_process)
        first = psutil.Process(process.pid)
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(RELOAD_S, left))
            with suppress(psutil.NoSuchProcess):
                of_process.append(sum(one.memory_info().rss for one in (first, *first.children())))
            if process.poll() is not None:
                return
            if self.has_clock:
                self.jump(random.choice(JUMPS))
            process.send_signal(signal.SIGHUP)
            is_due = self.n_processes > 1 and time.monotonic() > self.killed_at + KILL_S
            if is_due and (children := first.children()):
                with suppress(psutil.NoSuchProcess):
                    random.choice(children).kill()
                self.killed_at = time.monotonic()
                self.n_killed += 1

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
            self.see_reply(kind, service, seed, status, answer)
            if writer and (status == ENDING or b"connection: close" in answer):
                writer.close()
                reader = writer = None
                await asyncio.sleep(0.02)

    def see_failure(self, kind: str, answer: bytes) -> None:
        """Record a reply that is missing or cut off, and whether a process has been killed."""
        if self.group:
            text = (self.group / "memory.oom_control").read_text()
            if (n := int(text.split()[-1])) > self.n_out_of_memory:
                self.n_out_of_memory, self.killed_at = n, time.monotonic()
        if answer:
            now = time.monotonic()
            if now < self.killed_at + KILLED_S:
                self.cut_off[kind] += 1
            elif self.is_stopping and now > self.stopped_at + TIMEOUT_S:
                self.timed_out[kind] += 1
            else:
                self.lost[kind] += 1
        self.n_again += 1

    def see_reply(self, kind: str, service: int, seed: int, status: int, answer: bytes) -> None:
        """Record a complete reply; compare its text with an earlier one."""
        self.statuses[kind, status] += 1
        if status == 200 and kind in SAME and service == self.service:
            self.compare((service % 2, kind, seed), answer)
        elif status == ENDING:
            error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
            self.refusals[error["message"] if isinstance(error, dict) else error] += 1

    def compare(self, key: tuple[int, str, int], answer: bytes) -> None:
        """Compare a reply with an earlier one to the same request, maybe of another process."""
        head, _, text = answer.partition(b"\r\n\r\n")
        if found := re.search(rb"x-request-id: (\w+)-", head):
            self.answered[found[1]] += 1
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
        for reason, n in self.refusals.most_common(5):
            print(f"503: {n:,} times {reason}")
        print(f"unexpected responses: {wrong or 'none'}")
        print(f"interrupted replies: {dict(self.lost) or 'none'}")
        print(f"cut off at the time limit of a stop: {dict(self.timed_out) or 'none'}")
        if self.n_processes > 1:
            print(f"processes killed: {self.n_killed}; cut off: {dict(self.cut_off) or 'none'}")
        if self.disk:
            print(f"trainings beside a disk that fills up: {dict(self.trainings)}")
        if self.group:
            print(f"processes killed because of the memory limit: {self.n_out_of_memory}")
        print(
            f"{self.n_compared:,} replies compared with one for the same seed, from "
            f"{len(self.answered)} processes: {self.n_different} different"
        )
        return bool(wrong or self.lost or self.n_different)


def train_names(directory: Path) -> None:
    command = [Path(sys.executable).parent / "microgpt", "train", *TRAIN, "--model", directory]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def request(kind: str, seed: int) -> bytes:
    _, page, body, _ = KINDS[kind]
    if body is None:
        return f"GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    text = json.dumps(body if page == SCORE else {**body, "seed": seed})
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
