"""Benchmark sampling and the evaluation of held-out text.

Runs four benchmarks on one core, prints medians and ratios, and writes them to bench/results.

  decoding     one sequence at a time and in batches, with given random numbers, alternating with
               JAX, PyTorch and NumPy (bench/rivals); all must generate the same tokens
  seeding      cost of the random numbers per sample: one `random.Random` per sample, or in bulk
  names        `microgpt generate --num-samples 300000`, minus the time for one sample
  evaluating   computing the held-out loss of 2,910 names, relative to one training epoch on them

    uv run python bench/decode_speed.py [--rounds 5] [--python torch=PATH]
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np
from train_speed import CHAT, Contender, machine, results_file

from microgpt import InferenceGpt, ModelConfig, TrainConfig, save
from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.data.tokenizer import CharTokenizer
from microgpt.engine import mersenne
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.training.trainer import CompiledEngine
from microgpt.model import count_params, init_weights
from microgpt.training.train import train

sys.path.insert(0, str(Path(__file__).parent / "rivals"))

from job import Job

RIVALS = ("jax", "torch", "numpy")
NAMES = ModelConfig()
DECODING = [  # name, model, vocabulary size, sequences per batch, repetitions
    ("d16, one sequence", NAMES, 27, 1, 1000),
    ("d16, 50 together", NAMES, 27, 50, 40),
    ("chat, one sequence", CHAT, 80, 1, 2),
    ("chat, 16 together", CHAT, 80, 16, 1),
]
AGREEMENT = 0.98  # minimum share of equal tokens: rounding may change one draw and all later tokens
N_NAMES = 300_000


def main() -> None:
    """Run the benchmarks and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", action="append", default=[], metavar="RIVAL=PATH")
    arguments = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in arguments.python)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{machine()}, float32")
    kept = {
        "machine": f"{machine()}, float32",
        "date": str(date.today()),
        "decoding": [decoding(*row, arguments.rounds, pythons) for row in DECODING],
        "seeding": seeding(arguments.rounds),
        "names": names(arguments.rounds),
        "evaluating": [evaluating(n_embd, arguments.rounds) for n_embd in (16, 64)],
    }
    results_file("decode_speed").write_text(json.dumps(kept, indent=1) + "\n")


def decoding(
    name: str,
    shape: ModelConfig,
    vocab_size: int,
    n_together: int,
    n_times: int,
    rounds: int,
    pythons: dict[str, str],
) -> dict:
    """Return the tokens per second of each contender for sequences that fill the context."""
    model = ModelConfig(**{**vars(shape), "vocab_size": vocab_size})
    weights = init_weights(model, random.Random(1))
    job = Job(
        n_head=model.n_head,
        n_layer=model.n_layer,
        block_size=model.block_size,
        vocab_size=vocab_size,
        batch_size=n_together,
        steps=n_times,
        docs=[],
        weights={name: np.array(rows, np.float32) for name, rows in weights.items()},
    )
    n_tokens = n_together * n_times * model.block_size
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        job.save(f"{folder}/job.npz")
        contenders = {
            who: stack.enter_context(
                Contender(who, "decode", f"{folder}/job.npz", pythons.get(who))
            )
            for who in ("microgpt", *RIVALS)
        }
        for _ in range(rounds):
            for contender in contenders.values():
                contender.work()
        ours = np.array(contenders["microgpt"].result)
        for who, contender in contenders.items():
            if np.mean(np.array(contender.result) == ours) < AGREEMENT:
                raise SystemExit(f"{name}: {who} decodes a different model")
        speeds = {
            who: n_tokens / statistics.median(contender.seconds)
            for who, contender in contenders.items()
        }
    others = " | ".join(
        f"{who} {speeds[who]:,.0f}: {speeds['microgpt'] / speeds[who]:.1f} ×" for who in RIVALS
    )
    print(f"{name:20}| microgpt {speeds['microgpt']:,.0f} tokens/s | {others}", flush=True)
    return {"name": name, "tokens_per_s": speeds}


def seeding(rounds: int) -> dict:
    """Return the time in microseconds to draw the 16 random numbers of a sample."""
    n = 4096

    def one_by_one() -> None:
        for seed in range(n):
            rng = random.Random(seed)
            for _ in range(NAMES.block_size):
                rng.random()

    facts = {
        "random.Random": median_s(one_by_one, rounds) / n * 1e6,
        "in bulk": median_s(lambda: mersenne.uniforms(range(n), NAMES.block_size), rounds)
        / n
        * 1e6,
    }
    print(
        f"random numbers per sample: random.Random {facts['random.Random']:.2f} µs, "
        f"in bulk {facts['in bulk']:.2f} µs: {facts['random.Random'] / facts['in bulk']:.1f} ×"
    )
    return facts


def names(rounds: int) -> dict:
    """Return the seconds to generate one name and many names with Karpathy's model."""
    with tempfile.TemporaryDirectory() as folder:
        save(train(load_text(bundled("names.txt"))), f"{folder}/model")
        command = [sys.executable, "-m", "microgpt_cli", "generate", "--model"]
        seconds = {}
        for n in (1, N_NAMES):
            whole = [*command, f"{folder}/model", "--num-samples", str(n)]
            seconds[n] = median_s(
                lambda whole=whole: subprocess.run(
                    whole, stdout=subprocess.DEVNULL, env=environment(), check=True
                ),
                rounds,
            )
    speed = (N_NAMES - 1) / (seconds[N_NAMES] - seconds[1])
    print(
        f"microgpt generate: {seconds[1]:.2f} s for one name, {seconds[N_NAMES]:.2f} s for "
        f"{N_NAMES:,}: {speed:,.0f} names/s"
    )
    return {"one_s": seconds[1], "many_s": seconds[N_NAMES], "n": N_NAMES, "names_per_s": speed}


def environment() -> dict[str, str]:
    """Return environment variables with which Python caches its bytecode."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def evaluating(n_embd: int, rounds: int) -> dict:
    """Return the seconds to evaluate the test set of the names, and to train on it once."""
    docs = split(load_text(bundled("names.txt")), validation=0.1, test=0.1).test
    tokenizer = CharTokenizer.from_documents(docs)
    tokens = [tokenizer.encode_document(doc)[: NAMES.block_size + 1] for doc in docs]
    model = ModelConfig(n_embd=n_embd, vocab_size=tokenizer.vocab_size)
    weights = init_weights(model, random.Random(1))
    config = TrainConfig(steps=-(-len(docs) // 16), batch_size=16)
    engine = CompiledEngine(model, config, tokens, dtype="float32")

    def learn() -> None:
        while engine.n_steps < config.steps:
            engine.run(config.steps)

    compiled = CompiledModel(model, weights, "float32")
    seconds = {"train": [], "kernels": [], "evaluate": []}
    trained = train(docs, model=ModelConfig(n_embd=n_embd), config=TrainConfig(steps=1))
    inference = InferenceGpt(trained)
    zeros = np.zeros(count_params(model))
    for _ in range(rounds + 1):
        engine.resume(0, weights, zeros, zeros)
        seconds["train"].append(timed(learn))
        seconds["kernels"].append(timed(lambda: compiled.nll(tokens)))
        seconds["evaluate"].append(timed(lambda: inference.evaluate(docs)))
    middle = {what: statistics.median(times[1:]) for what, times in seconds.items()}
    print(
        f"d{n_embd}, {len(docs):,} names: training {middle['train'] * 1e3:.1f} ms, losses "
        f"{middle['kernels'] * 1e3:.1f} ms: {middle['kernels'] / middle['train']:.2f} ×, "
        f"from texts to figure {middle['evaluate'] * 1e3:.1f} ms: "
        f"{middle['evaluate'] / middle['train']:.2f} ×"
    )
    return {"n_embd": n_embd, "n_docs": len(docs), **middle}


def median_s(run, rounds: int) -> float:
    """Return the median seconds of several runs after one warm-up run."""
    run()
    return statistics.median(timed(run) for _ in range(rounds))


def timed(run) -> float:
    """Return the seconds that one run takes."""
    started = perf_counter()
    run()
    return perf_counter() - started


if __name__ == "__main__":
    main()
