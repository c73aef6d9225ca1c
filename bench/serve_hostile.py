"""Measure the latency of an honest client while others send the most expensive requests.

    uv run python bench/serve_hostile.py [--seconds 10] [--attackers 16] [--rate 50] [--only KIND]

An honest client requests chat replies from the demo model, or short texts from a model of names, at
a steady rate: first alone, and then while a second process repeatedly sends one kind of hostile
request on several connections. The names model is served once with a context of a million tokens,
and once with subwords. Prints the median and 99th percentile latency of the honest client, its
ratio to that without an attack, the peak memory of the server, and the responses to the attackers.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from machine import machine
from serve_mixed import HELLO, rest

from microgpt import BpeTokenizer, ModelConfig, TrainConfig, save, train
from microgpt.data.documents import bundled

CHAT, OPENAI_CHAT, GENERATE = "/microgpt/v1/chat", "/v1/chat/completions", "/microgpt/v1/generate"
COMPLETIONS = "/v1/completions"
SIZE = 1_040_000  # body size in bytes, just below the default limit
DEPARTS_S = 0.05  # time after which a departing client closes its connection
SHAPE = ModelConfig(n_embd=96, n_head=3, n_layer=4, block_size=256, architecture="modern")
HONEST = {  # the request of the honest client to each model
    "demo": (CHAT, {"messages": HELLO}),
    "a million": (GENERATE, {"max_tokens": 10}),
    "subwords": (GENERATE, {"max_tokens": 10}),
}


@dataclass(frozen=True)
class Attack:
    """A kind of hostile request."""

    model: str
    page: str
    body: bytes
    departs: bool = False  # whether the clients do not wait for the reply


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--attackers", type=int, default=16)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--only", help="measure only attacks whose name contains this")
    options = parser.parse_args()
    print(f"{machine(all_cores=True)}; {options.attackers} attackers, {options.rate:g} requests/s")
    found = {kind: one for kind, one in attacks().items() if (options.only or "") in kind}
    with tempfile.TemporaryDirectory() as folder:
        models = [model for model in HONEST if model in {one.model for one in found.values()}]
        if set(models) - {"demo"}:
            train_names(Path(folder))
        for model in models:
            with served(model, Path(folder)) as (process, port):
                quiet = measure(None, model, process, port, options, None)
                for kind, attack in found.items():
                    if attack.model == model:
                        measure(attack, kind, process, port, options, quiet)


def train_names(folder: Path) -> None:
    """Save a model of names with a context of a million tokens, and one of subwords."""
    documents = bundled("names.txt").read_text().split()
    result = train(documents, model=SHAPE, config=TrainConfig(steps=100))
    save(replace(result, model=replace(result.model, block_size=10**6)), folder / "a million")
    tokenizer, config = (
        BpeTokenizer.from_documents(documents),
        TrainConfig(steps=100, text="stream"),
    )
    save(train([" ".join(documents)], config=config, tokenizer=tokenizer), folder / "subwords")


@contextmanager
def served(model: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Serve a model on a free port; yield the process and the port."""
    log = folder / "log"
    environment = {**os.environ, "PORT": "0"}
    if model != "demo":
        environment["MODEL_DIR"] = str(folder / model)
    with log.open("wb") as stderr:
        command = [Path(sys.executable).parent / "microgpt-serve"]
        process = subprocess.Popen(command, cwd=folder, env=environment, stderr=stderr)
    try:
        while not (found := re.search(r"at http://127.0.0.1:(\d+)", log.read_text())):
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        yield process, int(found[1])
    finally:
        process.terminate()
        process.wait()
    if "Traceback" in log.read_text():
        raise SystemExit(log.read_text()[-3000:])


def attacks() -> dict[str, Attack]:
    """Return all kinds of attacks by name."""
    hello = b'{"role":"user","content":"h"}'
    head, tail = b'{"messages":[{"role":"user","content":"', b'"},' + hello + b"]}"
    fields = b",".join(b'"%x":0' % i for i in range(SIZE // 10))
    wide = "".join(map(chr, range(2**16, 3 * 2**16))).encode()[: 4 * 131_000]
    bodies = {
        "many messages": (CHAT, filled(b'{"messages":[', hello, b"]}")),
        "most messages": (OPENAI_CHAT, b'{"messages":[%s]}' % b",".join([hello] * 2048)),
        "many fields": (CHAT, b"{%s}" % fields),
        "most fields": (OPENAI_CHAT, b'{"messages":[{%s}]}' % fields[:65_000].rpartition(b",")[0]),
        "nested lists": (GENERATE, filled(b'{"prompt":[', b"[" * 150 + b"]" * 150, b"]}")),
        "long text": (CHAT, head + b"h" * (SIZE - 100) + tail),
        "longest text": (OPENAI_CHAT, head + b"h" * 131_000 + tail),
        "ignored text": (
            OPENAI_CHAT,
            b'{"messages":[{"role":"assistant","content":"","reasoning":"'
            + b"a" * (SIZE - 200)
            + tail,
        ),
        "escaped text": (GENERATE, b'{"prompt":"' + b"\\u00e9" * (SIZE // 7) + b'"}'),
        "unknown characters": (CHAT, head + wide + tail),
    }
    stops = [letter * 1023 + "!" for letter in "abcd"]
    long = {"prompt": "h", "temperature": 3, "n": 50, "max_tokens": 16_384}
    requests: dict[str, tuple[str, str, dict[str, Any]]] = {
        "long stop strings": ("demo", COMPLETIONS, {**long, "stop": stops, "stream": True}),
        "long texts": ("demo", COMPLETIONS, long),
        "long streams": ("demo", COMPLETIONS, {**long, "stream": True}),
        "endless subwords": ("subwords", COMPLETIONS, {**long, "prompt": "emma", "stream": True}),
        "endless texts": ("a million", GENERATE, {"num_samples": 50, "temperature": 9}),
        "long prompts": ("a million", GENERATE, {"prompt": "emma" * 32_000}),
    }
    found = {kind: Attack("demo", *one) for kind, one in bodies.items()}
    for kind, (model, page, body) in requests.items():
        found[kind] = Attack(model, page, json.dumps(body).encode())
    found["long texts, departing"] = replace(found["long texts"], departs=True)
    return found


def filled(head: bytes, one: bytes, tail: bytes) -> bytes:
    return head + b",".join([one] * (SIZE // (len(one) + 1))) + tail


def measure(
    attack: Attack | None,
    kind: str,
    process: subprocess.Popen[bytes],
    port: int,
    options: argparse.Namespace,
    quiet: float | None,
) -> float:
    """Print and return the p99 latency of the honest client under an attack, or without one."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # forget the peak of the memory
    answers: Any = multiprocessing.Queue()
    until = time.time() + options.seconds + 1
    other = multiprocessing.Process(
        target=lambda: asyncio.run(attackers(attack, port, options.attackers, until, answers))
    )
    if attack:
        other.start()
    time.sleep(1)
    model = attack.model if attack else kind
    times = sorted(asyncio.run(honest(model, port, options)))
    p50, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
    statuses = ""
    if attack:
        statuses = ", ".join(f"{n} x {status}" for status, n in sorted(answers.get().items()))
        other.join()
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    assert peak
    ratio = f"{p99 / quiet:5.1f} x" if quiet else " quiet "
    name = kind if attack else f"({model})"
    print(
        f"{name:28} p50 {p50:6.1f} ms  p99 {p99:6.1f} ms {ratio}  {int(peak[1]) / 1024:4.0f} MiB  "
        f"{statuses}",
        flush=True,
    )
    return p99


async def honest(model: str, port: int, options: argparse.Namespace) -> list[float]:
    """Return the latency of each reply, in seconds since its request was scheduled."""
    started, times = time.perf_counter(), list[float]()
    page, body = HONEST[model]
    data = post(page, json.dumps(body).encode())

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


async def attackers(attack: Attack, port: int, n: int, until: float, answers: Any) -> None:
    data, statuses = post(attack.page, attack.body), Counter[str]()

    async def send() -> None:
        while time.time() < until:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**27)
                writer.write(data)
                if attack.departs:
                    await asyncio.sleep(DEPARTS_S)
                    statuses["departed"] += 1
                else:
                    statuses[str(await rest(reader), "latin-1")[9:12]] += 1
                writer.close()
            except (OSError, EOFError):
                statuses["disconnected"] += 1

    await asyncio.gather(*(send() for _ in range(n)))
    answers.put(statuses)


def post(page: str, body: bytes) -> bytes:
    head = f"POST {page} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
