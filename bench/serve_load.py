"""Measure the requests per second of the service, and the share of time spent generating.

    uv run python bench/serve_load.py [--seconds 5] [--rounds 3] [--connections 32]

Alternates between six kinds of load: `generate` of one name; the same route, middleware, queue and
threads with a batch that generates nothing; a bare FastAPI route with the same schemas; `chat` with
the demo model; `generate` and `chat` with two processes. Requires wrk (`apt install wrk`), which
needs a part of a core, too. On a busy machine, CPU time per request is the more stable figure. See
serve_mixed.py for a half-hour soak test and serve_streams.py for streams.
"""

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import psutil
from harness import parsed
from service import serving

from microgpt import TrainConfig, load_text, save
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.training.train import train

GENERATE, CHAT = "/microgpt/v1/generate", "/microgpt/v1/chat"
ONE_NAME = '{"seed": 42}'
HELLO = '{"messages": [{"role": "user", "content": "hello"}]}'
TWO = " twice"  # with two processes
KINDS = ("generate", "no generation", "bare FastAPI", "chat", "generate" + TWO, "chat" + TWO)


def main() -> None:
    """Compare the kinds of load."""
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
        return
    args = parsed(__doc__, seconds=5, rounds=3, connections=32)
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder, "names")
        save(train(load_text(bundled("names.txt")), config=TrainConfig()), names)
        compare(names, bundled(DEMO_MODEL), Path(folder), args)


def serve(kind: str, model_dir: str) -> None:
    """Run the service, modified according to the kind of load."""
    from microgpt_serve import batch_scheduler, service
    from microgpt_serve.settings import read_settings

    if kind == "no generation":
        batch_scheduler.Batch = NoBatch  # type: ignore[misc, assignment]
    if kind == "bare FastAPI":
        service.create_app = bare_app  # type: ignore[assignment]
    processes = 2 if kind.endswith(TWO) else 1
    service.serve(read_settings(model_dir=model_dir, port=0, processes=processes))


class NoBatch:
    """A batch whose jobs all finish immediately with the same name."""

    arrays = None

    def __init__(self, model: Any, jobs: list[Any], arrays: Any) -> None:
        from microgpt.sampling import Continuation

        name = [Continuation([0, 13, 13, 0], "stop")]
        self.done = [(number, name) for number in range(len(jobs))]

    def run(self) -> list[Any]:  # noqa: D102
        return self.done


def bare_app(settings: Any, model: Any) -> Any:
    from fastapi import FastAPI

    from microgpt_serve.app_state import AppState
    from microgpt_serve.schemas import GenerateRequest, GenerateResponse

    app = FastAPI()
    app.state.app_state = AppState(settings, model, [])

    @app.post(GENERATE)
    async def generate(body: GenerateRequest) -> GenerateResponse:
        return GenerateResponse(samples=["anna"])

    return app


def compare(names: Path, chat: Path, folder: Path, args: Namespace) -> None:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is not installed; apt install wrk")
    results: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(args.rounds):
        for kind in KINDS:
            model = str(chat if kind.startswith("chat") else names)
            with serving([sys.executable, __file__, "--serve", kind, model]) as service:
                port, process = service.port, psutil.Process(service.pid)
                load(wrk, folder, kind, port, process, 1, args.connections)  # warm-up
                one = load(wrk, folder, kind, port, process, args.seconds, args.connections)
                results[kind].append(one)
    print(f"{args.connections} connections, median of {args.rounds} rounds of {args.seconds} s")
    print(f"{'':14}  requests/s    p50 ms    p99 ms  cpu us/request")
    median = {
        kind: {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        for kind, rounds in results.items()
    }
    for kind, one in median.items():
        print(
            f"{kind:14}  {one['rps']:10,.0f}  {one['p50']:8.2f}  {one['p99']:8.2f}"
            f"  {one['cpu_us']:14.0f}"
        )
    pairs = [("generate", kind) for kind in KINDS[1:3]]
    pairs += [(kind + TWO, kind) for kind in ("generate", "chat")]
    for first, second in pairs:
        for name, sign in (("rps", "requests/s"), ("cpu_us", "cpu time")):
            ratio = median[first][name] / median[second][name]
            print(f"{first} / {second}: {100 * ratio:.0f} % of its {sign}")


def load(
    wrk: str,
    folder: Path,
    kind: str,
    port: int,
    process: psutil.Process,
    seconds: int,
    connections: int,
) -> dict[str, float]:
    path, body = (CHAT, HELLO) if kind.startswith("chat") else (GENERATE, ONE_NAME)
    script = folder / "post.lua"
    script.write_text(
        f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n"
        f"wrk.body = '{body}'\n"
    )
    before = cpu_seconds(process)
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
    )
    cpu_s = cpu_seconds(process) - before
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(done.stdout)
    n_requests = int(re.search(r"(\d+) requests in", done.stdout)[1])  # type: ignore[index]
    rps = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])  # type: ignore[index]
    return {
        "rps": rps,
        "p50": milliseconds(done.stdout, "50"),
        "p99": milliseconds(done.stdout, "99"),
        "cpu_us": 1e6 * cpu_s / n_requests,
    }


def cpu_seconds(process: psutil.Process) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children()))


def milliseconds(report: str, percent: str) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", report)
    assert found
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


if __name__ == "__main__":
    main()
