"""Measure the memory of several models behind one service, and what reloads cost other requests.

    uv run python bench/serve_several.py [--models 5] [--seconds 10] [--rounds 3] [--connections 8]

All models are copies of the demo model. Prints the memory of one model and of several, in MiB and
bytes per weight. Then clients ask all models in turn, alternately while nothing else happens and
while one model is reloaded five times per second: prints the latency of both, and their ratio.
"""

import asyncio
import os
import statistics
import sys
import time
from argparse import Namespace

import httpx2
import psutil
from harness import parsed
from service import Service, serving

from microgpt import load
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.model_config import count_params

KEY = "k"
PAUSE_S = 0.2  # between two reloads
COMMAND = (sys.executable, "-m", "microgpt_cli", "serve", "--port", "0")


def main() -> None:
    """Measure memory, then latency."""
    options = parsed(__doc__, models=5, seconds=10.0, rounds=3, connections=8)
    os.environ["MICROGPT_API_KEY"] = KEY
    names = [f"m{i}" for i in range(options.models)]
    given = [f"{name}={bundled(DEMO_MODEL)}" for name in names]
    with serving([*COMMAND, *given[:1]]) as service:
        one = memory(service)
    with serving([*COMMAND, *given]) as service:
        several = memory(service)
        phases: dict[str, list[list[float]]] = {"quiet": [], "reloading": []}
        for _ in range(options.rounds):
            for kind, found in phases.items():
                found.append(asyncio.run(latencies(service, names, options, kind)))
    n_weights = count_params(load(bundled(DEMO_MODEL)).model)
    each = (several - one) / max(1, options.models - 1)
    print(f"memory: {one / 2**20:.0f} MiB with one model, {several / 2**20:.0f} with {len(names)}")
    print(f"{several / one:.2f} times as much; {each / n_weights:.0f} bytes per weight")
    median, slowest = (
        {
            kind: statistics.median(share(one, part) for one in found)
            for kind, found in phases.items()
        }
        for part in (0.5, 0.99)
    )
    for what, found in (("p50", median), ("p99", slowest)):
        ratio = found["reloading"] / found["quiet"]
        ms = {kind: f"{1000 * seconds:.1f} ms {kind}" for kind, seconds in found.items()}
        print(f"{what}: {', '.join(ms.values())}: {ratio:.2f} times as long")


def memory(service: Service) -> int:
    return int(psutil.Process(service.pid).memory_info().rss)


def share(seconds: list[float], part: float) -> float:
    return sorted(seconds)[int(part * (len(seconds) - 1))]


async def latencies(
    service: Service, names: list[str], options: Namespace, kind: str
) -> list[float]:
    """Return the seconds of each request; raise an error if one fails."""
    end, found = time.perf_counter() + options.seconds, list[float]()
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=service.url, headers=headers, timeout=60) as client:

        async def ask(number: int) -> None:
            while time.perf_counter() < end:
                body = {"model": names[number % len(names)], "prompt": "h", "max_tokens": 8}
                number, started = number + 1, time.perf_counter()
                (await client.post("/microgpt/v1/generate", json=body)).raise_for_status()
                found.append(time.perf_counter() - started)

        async def reload() -> None:
            while kind == "reloading" and time.perf_counter() < end:
                body = {"model": names[-1]}
                (await client.post("/microgpt/v1/reload", json=body)).raise_for_status()
                await asyncio.sleep(PAUSE_S)

        await asyncio.gather(*map(ask, range(options.connections)), reload())
    return found


if __name__ == "__main__":
    main()
