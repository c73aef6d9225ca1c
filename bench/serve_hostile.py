"""Measure the latency of an honest client while others send the most expensive request bodies.

    uv run python bench/serve_hostile.py [--seconds 5] [--attackers 16] [--rate 50]

An honest client requests chat replies from the demo model at a steady rate, first alone, and then
while a second process repeatedly sends one kind of hostile body on several connections. Prints the
median and 99th percentile latency of the honest client, and the responses to the attackers.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from serve_mixed import HELLO, rest
from train_speed import machine

CHAT, OPENAI_CHAT, GENERATE = "/microgpt/v1/chat", "/v1/chat/completions", "/microgpt/v1/generate"
SIZE = 4_190_000  # body size in bytes, just below the default limit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--attackers", type=int, default=16)
    parser.add_argument("--rate", type=float, default=50)
    options = parser.parse_args()
    print(f"{machine(all_cores=True)}; {options.attackers} attackers, {options.rate:g} requests/s")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        command = [Path(sys.executable).parent / "microgpt-serve"]
        environment = {**os.environ, "PORT": "0"}
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, cwd=folder, env=environment, stderr=stderr)
        try:
            while not (found := re.search(r"at http://127.0.0.1:(\d+)", log.read_text())):
                if process.poll() is not None:
                    raise SystemExit(log.read_text())
                time.sleep(0.1)
            for kind in (None, *bodies()):
                measure(kind, int(found[1]), options)
        finally:
            process.terminate()
            process.wait()


def bodies() -> dict[str, tuple[str, bytes]]:
    """Return the path and the body of each kind of attack."""
    hello = b'{"role":"user","content":"h"}'
    head, tail = b'{"messages":[{"role":"user","content":"', b'"},' + hello + b"]}"
    fields = b",".join(b'"%x":0' % i for i in range(SIZE // 10))
    return {
        "many messages": (CHAT, filled(b'{"messages":[', hello, b"]}")),
        "most messages": (OPENAI_CHAT, b'{"messages":[%s]}' % b",".join([hello] * 4096)),
        "many fields": (CHAT, b"{%s}" % fields),
        "most fields": (OPENAI_CHAT, b'{"messages":[{%s}]}' % fields[:130_000].rpartition(b",")[0]),
        "nested lists": (GENERATE, filled(b'{"prompt":[', b"[" * 150 + b"]" * 150, b"]}")),
        "long text": (CHAT, head + b"h" * (SIZE - 100) + tail),
        "longest text": (OPENAI_CHAT, head + b"h" * 131_000 + tail),
        "escaped text": (GENERATE, b'{"prompt":"' + b"\\u00e9" * (SIZE // 7) + b'"}'),
        "unknown characters": (
            CHAT,
            head + "".join(map(chr, range(2**16, 3 * 2**16))).encode()[: 4 * 131_000] + tail,
        ),
    }


def filled(head: bytes, one: bytes, tail: bytes) -> bytes:
    return head + b",".join([one] * (SIZE // (len(one) + 1))) + tail


def measure(kind: str | None, port: int, options: argparse.Namespace) -> None:
    """Print the latency of the honest client under one kind of attack or none."""
    answers: Any = multiprocessing.Queue()
    until = time.time() + options.seconds + 1
    attack = multiprocessing.Process(
        target=lambda: asyncio.run(attackers(kind, port, options.attackers, until, answers))
    )
    if kind:
        attack.start()
    time.sleep(1)
    times = sorted(asyncio.run(honest(port, options)))
    p50, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
    told = ""
    if kind:
        told = ", ".join(f"{n} x {status}" for status, n in sorted(answers.get().items()))
        attack.join()
    print(f"{kind or 'no attack':18} p50 {p50:7.1f} ms  p99 {p99:7.1f} ms  {told}", flush=True)


async def honest(port: int, options: argparse.Namespace) -> list[float]:
    """Return the latency of each reply, in seconds since its request was scheduled."""
    started, times = time.perf_counter(), list[float]()
    data = post(CHAT, json.dumps({"messages": HELLO}).encode())

    async def ask(i: int) -> None:
        due = started + i / options.rate
        await asyncio.sleep(due - time.perf_counter())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        answer = await rest(reader)
        times.append(time.perf_counter() - due)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200"), answer

    await asyncio.gather(*(ask(i) for i in range(int(options.seconds * options.rate))))
    return times


async def attackers(kind: str, port: int, n: int, until: float, answers: Any) -> None:
    data, statuses = post(*bodies()[kind]), Counter[str]()

    async def attack() -> None:
        while time.time() < until:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(data)
                statuses[str(await rest(reader), "latin-1")[9:12]] += 1
                writer.close()
            except (OSError, EOFError):
                statuses["disconnected"] += 1

    await asyncio.gather(*(attack() for _ in range(n)))
    answers.put(statuses)


def post(page: str, body: bytes) -> bytes:
    head = f"POST {page} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
