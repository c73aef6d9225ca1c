"""What do two cores gain?

Trainings side by side 1.3 to 1.7 times the speed, a large step 1.4 to 1.6
(docs/measurements/speed.md).

    uv run python bench/study.py threads [--rounds 5]

  organisms   small training runs in two threads of one process, compared with two processes
  training    one training run with large batches in two threads, compared with one thread
  using       decoding and evaluating in two threads, compared with one thread

The variants alternate. Needs two idle cores.
"""

import random
import statistics
import subprocess
import sys
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from contenders import CHAT, text_of
from harness import BENCH, in_turns
from machine import machine
from tables import Rows, of_machines

from microgpt import InferenceGpt, ModelConfig, TrainConfig
from microgpt.data.documents import bundled, load_text
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import CharTokenizer
from microgpt.training.engines import make_engine
from microgpt.training.train import train

N_ORGANISMS = 8  # number of models per thread or process
TRAININGS = [  # name, model, batch size, characters per document (None: names)
    ("d64, batch 64", ModelConfig(n_embd=64), 64, None),
    ("d128, batch 64", ModelConfig(n_embd=128), 64, None),
    ("chat, batch 16", CHAT, 16, (32, 256)),
]
OPTIONS = {"rounds": 5, "organism": int}  # the latter for child processes only
ROUND_S = 1.0  # approximate duration of a training round in seconds


def measure(options: Namespace) -> dict | None:
    """Run the benchmarks."""
    if options.organism is not None:
        work_in_child(options.organism)
        return None
    return {
        "machine": f"{machine(all_cores=True)}, float32",
        "organisms": organisms(options.rounds),
        "training": [training(*row, options.rounds) for row in TRAININGS],
        "using": using(options.rounds),
    }


NAMES = load_text(bundled("names.txt"))
TOKENIZER = CharTokenizer.from_documents(NAMES)


def organisms_of(lot: int) -> None:
    """Train models of sizes that are typical in evolution, one after another.

    All of `train` is timed except building the tokenizer, which all models share. The lots have
    models of the same sizes, but with different weights.
    """
    rng = random.Random(1)
    for _ in range(N_ORGANISMS):
        model = ModelConfig(
            n_embd=rng.choice([8, 12, 16, 20, 24, 32]),
            n_head=rng.choice([1, 2, 4]),
            n_layer=rng.randint(1, 3),
            block_size=rng.choice([8, 12, 16]),
        )
        steps = rng.choice([300, 500, 750, 1000, 1500])
        config = TrainConfig(steps=steps, seed=rng.randrange(2**32) + lot)
        train(NAMES, model=model, config=config, tokenizer=TOKENIZER)


def larger_of(lot: int) -> None:
    """Train one model of width 64 for 500 steps."""
    config = TrainConfig(steps=500, batch_size=16, seed=lot)
    train(NAMES, model=ModelConfig(n_embd=64), config=config, tokenizer=TOKENIZER)


LOTS = {
    f"2 × {N_ORGANISMS} organisms of evolution's sizes": organisms_of,
    "2 trainings of d64, batch 16, 500 steps": larger_of,
}


def work_in_child(lot: int) -> None:
    """Train the lot named on each line of standard input, and print a line when it is done."""
    for name in sys.stdin:
        LOTS[name.strip()](lot)
        print("done", flush=True)


def organisms(rounds: int) -> list[dict]:
    """Return the seconds to train two lots in two threads, in two processes and sequentially."""
    command = [sys.executable, str(BENCH / "study.py"), "threads", "--organism"]
    processes = [
        subprocess.Popen(
            [*command, str(lot)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for lot in (1, 2)
    ]

    def in_processes(name: str) -> None:
        for process in processes:
            process.stdin.write(f"{name}\n")
            process.stdin.flush()
        for process in processes:
            process.stdout.readline()

    results = []
    with ThreadPoolExecutor(2) as pool:
        for name, train_lot in LOTS.items():
            runs = {
                "processes": lambda name=name: in_processes(name),
                "threads": lambda run=train_lot: list(pool.map(run, (1, 2))),
                "one after another": lambda run=train_lot: list(map(run, (1, 2))),
            }
            results.append({"name": name, **in_turns(runs, rounds)})
    for process in processes:
        process.communicate()
    return results


def training(
    name: str, shape: ModelConfig, batch_size: int, lengths: tuple[int, int] | None, rounds: int
) -> dict:
    """Return the seconds per training step with one thread and with two."""
    rng = random.Random(42)
    texts = rng.sample(NAMES, 2000)
    if lengths:
        words = iter(texts)
        texts = [text_of(rng.randint(*lengths) - 1, words) for _ in range(64)]
    tokenizer = CharTokenizer.from_documents(texts)
    model = ModelConfig(**{**vars(shape), "vocab_size": tokenizer.vocab_size})
    docs = TokenDataset(tokenizer.encode_document(text)[: model.block_size + 1] for text in texts)
    config = TrainConfig(steps=10**6, batch_size=batch_size, lr=1e-4)
    engines = {
        n: make_engine(
            "compiled",
            dtype="float32",
            model=model,
            config=config,
            docs=docs,
            rng=random.Random(1),
            threads=n,
        )
        for n in (1, 2)
    }

    def step_s(n: int) -> float:
        engine, started = engines[n], perf_counter()
        first = engine.n_steps
        while perf_counter() - started < ROUND_S or engine.n_steps == first:
            engine.run(config.steps)
        return (perf_counter() - started) / (engine.n_steps - first)

    times: dict[int, list[float]] = {n: [] for n in engines}
    for _ in range(rounds + 1):
        for n in engines:
            times[n].append(step_s(n))
    seconds = {f"threads {n}": statistics.median(each[1:]) for n, each in times.items()}
    return {"name": name, **seconds}


def using(rounds: int) -> list[dict]:
    """Return the seconds of decoding and evaluating with one thread and with two."""
    rng = random.Random(42)
    words = iter(rng.sample(NAMES, 9000))
    texts = [text_of(rng.randint(32, 256) - 1, words) for _ in range(256)]
    models = {
        "d16": InferenceGpt(train(NAMES, config=TrainConfig(steps=1000))),
        "chat": InferenceGpt(train(texts, model=CHAT, config=TrainConfig(steps=1))),
    }
    work = {
        "d16: 20,000 names": lambda n: models["d16"].generate(20_000, threads=n),
        "chat: 512 texts": lambda n: models["chat"].generate(512, temperature=1, threads=n),
        "d16: evaluating 32,033 names": lambda n: models["d16"].evaluate(NAMES, threads=n),
        "chat: evaluating 256 texts": lambda n: models["chat"].evaluate(texts, threads=n),
    }
    results = []
    for name, run in work.items():
        calls = {f"threads {n}": lambda run=run, n=n: run(n) for n in (1, 2)}
        results.append({"name": name, **in_turns(calls, rounds)})
    return results


def threads_rows(threads: dict) -> Rows:
    """Return a row for each task, with its times with one thread and with two."""
    rows = []
    for row in threads["organisms"]:
        alone, both = row["one after another"], row["threads"]
        against = f"{alone / both:.2f} × (two processes: {alone / row['processes']:.2f} ×)"
        rows.append([row["name"], f"{alone:.3f} s", f"{both:.3f} s", against])
    for row in threads["training"]:
        one, two = row["threads 1"], row["threads 2"]
        name = f"training step, {row['name']}"
        rows.append([name, f"{one * 1e3:.2f} ms", f"{two * 1e3:.2f} ms", f"{one / two:.2f} ×"])
    for row in threads["using"]:
        one, two = row["threads 1"], row["threads 2"]
        rows.append([row["name"], f"{one:.3f} s", f"{two:.3f} s", f"{one / two:.2f} ×"])
    return rows


TABLES = {"threads": of_machines(["", "one thread", "two", ""], threads_rows)}
