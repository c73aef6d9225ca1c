"""Measure the speed-up from two cores.

  organisms   small training runs in two threads of one process, compared with two processes
  training    one training run with large batches in two threads, compared with one thread
  using       decoding and evaluating in two threads, compared with one thread

The variants alternate. Prints medians and ratios and writes them to bench/results. Needs two idle
cores.

    uv run python bench/threads.py [--rounds 5]
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from time import perf_counter

from train_speed import CHAT, machine, results_file, text_of

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
ROUND_S = 1.0  # approximate duration of a training round in seconds


def main() -> None:
    """Run the benchmarks and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--organism", type=int, help=argparse.SUPPRESS)  # for child processes only
    arguments = parser.parse_args()
    if arguments.organism is not None:
        work_in_child(arguments.organism)
        return
    facts = machine(all_cores=True)
    print(f"{facts}, float32")
    kept = {
        "machine": f"{facts}, float32",
        "date": str(date.today()),
        "organisms": organisms(arguments.rounds),
        "training": [training(*row, arguments.rounds) for row in TRAININGS],
        "using": using(arguments.rounds),
    }
    results_file("threads").write_text(json.dumps(kept, indent=1) + "\n")


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
    command = [sys.executable, __file__, "--organism"]
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
            seconds = in_turns(runs, rounds)
            print(
                f"{name}: {seconds['one after another']:.3f} s one after another, "
                f"{seconds['processes']:.3f} s in two processes, {seconds['threads']:.3f} s in two "
                f"threads: {seconds['processes'] / seconds['threads']:.2f} × as fast as processes",
                flush=True,
            )
            results.append({"name": name, **seconds})
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
            resume=None,
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
    ratio = seconds["threads 1"] / seconds["threads 2"]
    print(
        f"{name}: {seconds['threads 1'] * 1e3:.2f} ms per step with one thread, "
        f"{seconds['threads 2'] * 1e3:.2f} ms with two: {ratio:.2f} ×",
        flush=True,
    )
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
        "chat: 64 texts": lambda n: models["chat"].generate(64, temperature=1, threads=n),
        "d16: evaluating 32,033 names": lambda n: models["d16"].evaluate(NAMES, threads=n),
        "chat: evaluating 256 texts": lambda n: models["chat"].evaluate(texts, threads=n),
    }
    results = []
    for name, run in work.items():
        seconds = in_turns({f"threads {n}": lambda run=run, n=n: run(n) for n in (1, 2)}, rounds)
        ratio = seconds["threads 1"] / seconds["threads 2"]
        print(
            f"{name}: {seconds['threads 1']:.3f} s with one thread, "
            f"{seconds['threads 2']:.3f} s with two: {ratio:.2f} ×",
            flush=True,
        )
        results.append({"name": name, **seconds})
    return results


def in_turns(runs: dict, rounds: int) -> dict[str, float]:
    """Run the variants alternately, and return the median seconds of each after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            started = perf_counter()
            run()
            times[name].append(perf_counter() - started)
    return {name: statistics.median(each[1:]) for name, each in times.items()}


if __name__ == "__main__":
    main()
