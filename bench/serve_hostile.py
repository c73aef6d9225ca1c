"""Measure the latency of an honest client while others send the most expensive requests.

    uv run python bench/serve_hostile.py [--seconds 10] [--attackers 16] [--rate 50] [--only KIND]

An honest client requests chat replies from the demo model, or short texts from a model of names, at
a steady rate: first alone, and then while a second process repeatedly sends one kind of hostile
request on several connections. The names model is served once with a context of a million tokens,
and once with subwords. Prints the honest client's median and 99th percentile latency, the ratio of
the latter to that without an attack, the server's peak memory, and the responses to the attackers.
"""

import argparse
import asyncio
import multiprocessing
import os
import re
import tempfile
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import serving
from harness import machine, parsed
from serving import CHAT, COMPLETIONS, GENERATE, HELLO, OPENAI_CHAT

from microgpt import BpeTokenizer, ModelConfig, TrainConfig, bundled, save, train

SIZE = 1_040_000  # body size in bytes, just below the default limit
DEPARTS_S = 0.05  # seconds after which a departing client closes its connection
SHAPE = ModelConfig(n_embd=96, n_head=3, n_layer=4, block_size=256, architecture="modern")
HONEST = {  # the honest client's request, by model
    "demo": serving.request(CHAT, {"messages": HELLO}),
    "a million": serving.request(GENERATE, {"max_tokens": 10}),
    "subwords": serving.request(GENERATE, {"max_tokens": 10}),
}
MODELS = {"endless subwords": "subwords", "endless texts": "a million", "long prompts": "a million"}
DEPARTING = "long texts, departing"  # an attack whose clients close the connection early


def main() -> None:
    options = parsed(__doc__, seconds=10.0, attackers=16, rate=50.0, only="")
    print(f"{machine(all_cores=True)}; {options.attackers} attackers, {options.rate:g} requests/s")
    found = {kind: data for kind, data in attacks().items() if options.only in kind}
    with tempfile.TemporaryDirectory() as folder:
        train_names(Path(folder))
        for model in dict.fromkeys(MODELS.get(kind, "demo") for kind in found):
            given = {} if model == "demo" else {"MODEL_DIR": f"{folder}/{model}"}
            with serving.started(environment=os.environ | given) as service:
                ask = partial(measure, HONEST[model], service, options)
                quiet = ask(f"({model})", b"")
                for kind, data in found.items():
                    if MODELS.get(kind, "demo") == model:
                        ask(kind, data, quiet)


def train_names(folder: Path) -> None:
    """Save a model of names with a context of a million tokens, and one with subword tokens."""
    documents = bundled("names.txt").read_text().split()
    result = train(documents, model=SHAPE, config=TrainConfig(steps=100))
    save(replace(result, model=replace(result.model, block_size=10**6)), folder / "a million")
    tokenizer = BpeTokenizer.from_documents(documents)
    config = TrainConfig(steps=100, text="stream")
    save(train([" ".join(documents)], config=config, tokenizer=tokenizer), folder / "subwords")


def attacks() -> dict[str, bytes]:
    """Return the request that each attack repeats, by the kind of attack."""
    hello = b'{"role":"user","content":"h"}'
    head, tail = b'{"messages":[{"role":"user","content":"', b'"},' + hello + b"]}"
    reasoning = b'{"messages":[{"role":"assistant","content":"","reasoning":"'
    fields = b",".join(b'"%x":0' % i for i in range(SIZE // 10))
    wide = "".join(map(chr, range(2**16, 3 * 2**16))).encode()[: 4 * 131_000]
    stops = [letter * 1023 + "!" for letter in "abcd"]
    long = {"prompt": "h", "temperature": 3, "n": 50, "max_tokens": 16_384}
    most_fields = fields[:65_000].rpartition(b",")[0]
    bodies: dict[str, tuple[str, bytes | dict[str, Any]]] = {
        "many messages": (CHAT, filled(b'{"messages":[', hello, b"]}")),
        "most messages": (OPENAI_CHAT, b'{"messages":[%s]}' % b",".join([hello] * 2048)),
        "many fields": (CHAT, b"{%s}" % fields),
        "most fields": (OPENAI_CHAT, b'{"messages":[{%s}]}' % most_fields),
        "nested lists": (GENERATE, filled(b'{"prompt":[', b"[" * 150 + b"]" * 150, b"]}")),
        "long text": (CHAT, head + b"h" * (SIZE - 100) + tail),
        "longest text": (OPENAI_CHAT, head + b"h" * 131_000 + tail),
        "ignored text": (OPENAI_CHAT, reasoning + b"a" * (SIZE - 200) + tail),
        "escaped text": (GENERATE, b'{"prompt":"' + b"\\u00e9" * (SIZE // 7) + b'"}'),
        "unknown characters": (CHAT, head + wide + tail),
        "long stop strings": (COMPLETIONS, {**long, "stop": stops, "stream": True}),
        "long texts": (COMPLETIONS, long),
        "long texts, departing": (COMPLETIONS, long),
        "long streams": (COMPLETIONS, {**long, "stream": True}),
        "endless subwords": (COMPLETIONS, {**long, "prompt": "emma", "stream": True}),
        "endless texts": (GENERATE, {"num_samples": 50, "temperature": 9}),
        "long prompts": (GENERATE, {"prompt": "emma" * 32_000}),
    }
    return {kind: serving.request(*one) for kind, one in bodies.items()}


def filled(head: bytes, one: bytes, tail: bytes) -> bytes:
    return head + b",".join([one] * (SIZE // (len(one) + 1))) + tail


def measure(
    request: bytes,
    service: serving.Service,
    options: argparse.Namespace,
    kind: str,
    attack: bytes,
    quiet: float | None = None,
) -> float:
    """Print the honest client's latencies, under an attack if given; return the 99th percentile."""
    Path(f"/proc/{service.pid}/clear_refs").write_text("5")  # reset the peak memory
    answers: Any = multiprocessing.Queue()
    until, n = time.time() + options.seconds + 1, options.attackers if attack else 0
    other = multiprocessing.Process(
        target=lambda: answers.put(asyncio.run(attackers(kind, attack, service.port, n, until)))
    )
    other.start()
    time.sleep(1)
    p50, p99 = serving.percentiles(asyncio.run(honest(request, service.port, options)))
    statuses = ", ".join(f"{n} x {status}" for status, n in sorted(answers.get().items()))
    other.join()
    (peak,) = re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{service.pid}/status").read_text())
    ratio = f"{p99 / quiet:5.1f} x" if quiet else "quiet"
    latency = f"p50 {p50:6.1f} ms  p99 {p99:6.1f} ms {ratio:>7}"
    print(f"{kind:28} {latency}  {int(peak) / 1024:4.0f} MiB  {statuses}", flush=True)
    return p99


async def honest(data: bytes, port: int, options: argparse.Namespace) -> list[float]:
    """Return the latency of each reply, in seconds since its request was scheduled."""
    started, times = time.perf_counter(), list[float]()

    async def ask(i: int) -> None:
        due = started + i / options.rate
        await asyncio.sleep(due - time.perf_counter())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        answer = await serving.rest(reader)
        times.append(time.perf_counter() - due)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200"), answer

    await asyncio.gather(*(ask(i) for i in range(int(options.seconds * options.rate))))
    return times


async def attackers(kind: str, data: bytes, port: int, n: int, until: float) -> Counter[str]:
    """Repeat an attack's request over n connections; return the number of responses by status."""
    statuses = Counter[str]()

    async def send() -> None:
        while time.time() < until:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(data)
                if kind == DEPARTING:
                    await asyncio.sleep(DEPARTS_S)
                    statuses["departed"] += 1
                else:
                    statuses[str(await serving.rest(reader), "latin-1")[9:12]] += 1
                writer.close()
            except (OSError, EOFError):
                statuses["disconnected"] += 1

    await asyncio.gather(*(send() for _ in range(n)))
    return statuses


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
