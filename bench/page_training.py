"""Compare the training speed of the engine of a page, in Node, with the engine in Python.

    uv run python bench/page_training.py [--rounds 15]

Trains Karpathy's run and the preset names-10s. Both engines take the same steps in turns on one
core, with the same rounding, and reach the same losses. Prints the median time of a step of each,
and the median ratio of a round.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from base64 import b64encode
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter

from harness import parsed, pin
from texts import planned

from microgpt.data.documents import bundled, load_text
from microgpt.training.engines import Engine, make_engine
from microgpt.training.planning import TrainingJob
from microgpt_engine import wasm
from microgpt_page.document import WEB
from microgpt_page.packed_files import engine_file

WARM_UP = 4  # rounds; Node first compiles quickly, then well
# Options beside Karpathy's, and the number of steps of a round.
RUNS = {"Karpathy's": ({}, 40), "width 64, batch size 16": ({"n_embd": 64, "batch_size": 16}, 10)}
PROGRAM = """
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import { dataOf } from "./documents.js";
import { Model } from "./model.js";
import { Trainer } from "./trainer.js";
import { untrained } from "./untrained_model.js";
const job = JSON.parse(readFileSync("job.json", "utf8"));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const kernels = Object.entries(job.parts).map(([name, part]) => [name, bytes(part)]);
const file = { ...job.facts, parts: Object.fromEntries(kernels) };
const { model: shape, config, validation } = job;
const data = dataOf(job.text, { text: "lines", validation, size: shape.block_size });
const model = new Model(untrained(file, shape, data.tokenizer, "lines"));
const trainer = new Trainer(model, { ...file.defaults.config, ...config }, data.train);
for await (const line of createInterface({ input: process.stdin })) {
  const [until, losses, started] = [Number(line), [], performance.now()];
  while (trainer.nSteps < until) losses.push(...trainer.run(until));
  console.log(JSON.stringify([(performance.now() - started) / 1000, losses.at(-1)]));
}
"""


def main() -> None:
    """Measure both, in a process with the rounding of WebAssembly."""
    rounds = parsed(__doc__, rounds=20).rounds
    if "NUMBA_CPU_NAME" not in os.environ:
        env = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
        subprocess.run([sys.executable, __file__, *sys.argv[1:]], env=env, check=True)
        return
    pin()
    print("| | here, a step | Node, a step | ratio, median |\n|---|---|---|---|")
    texts = load_text(bundled("names.txt"))
    for name, (given, n) in RUNS.items():
        job = planned(texts, {**given, "preset": "karpathy", "test_fraction": 0.0})
        rng = random.Random(job.plan.config.seed)
        plan = job.plan
        data = job.dataset(rng, 1)
        engine = make_engine(plan.model, plan.config, data, rng, 1)
        with tempfile.TemporaryDirectory() as folder:
            times = [*in_turns(job, engine, Path(folder), n, rounds)][WARM_UP:]
        here, there = (median(each) / n * 1e6 for each in zip(*times, strict=True))
        ratio = median(b / a for a, b in times)
        print(f"| {name} | {here:,.1f} µs | {there:,.1f} µs | {ratio:.2f} |", flush=True)


def in_turns(
    job: TrainingJob, engine: Engine, folder: Path, n: int, rounds: int
) -> list[tuple[float, float]]:
    """Return the seconds of n steps here and in Node, of each round."""
    shutil.copytree(WEB / "engine", folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "job.json").write_text(json.dumps(facts_of(job)))
    program = shutil.which("node") or shutil.which("nodejs")
    assert program, "needs Node"
    command = [program, "--input-type=module", "-e", PROGRAM]
    pipe, times = subprocess.PIPE, []
    with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, text=True) as node:
        assert node.stdin
        assert node.stdout
        for i in range(1, min(WARM_UP + rounds, job.plan.config.steps // n) + 1):
            started, loss = perf_counter(), 0.0
            while engine.n_steps < i * n:
                loss = (engine.run(i * n) or [loss])[-1]
            here = perf_counter() - started
            print(i * n, file=node.stdin, flush=True)
            there, same = json.loads(node.stdout.readline())
            assert loss == same
            times.append((here, there))
    return times


def facts_of(job: TrainingJob) -> dict[str, object]:
    facts, parts = engine_file(wasm.modules(wasm.TRAINING))
    return {
        "facts": facts,
        "parts": {name: b64encode(part).decode() for name, part in parts.items()},
        "text": "\n".join(map(str, job.sets.docs)),
        "validation": job.sets.val_fraction,
        "model": asdict(job.plan.model),
        "config": asdict(job.plan.config),
    }


if __name__ == "__main__":
    main()
