"""Benchmark sampling and the evaluation of held-out text.

Runs four benchmarks on one core, prints medians and ratios, and writes them to bench/results.

  decoding     one sequence at a time and in batches, with given random numbers, alternating with
               JAX, PyTorch and NumPy (bench/rivals); all must generate the same tokens
  seeding      cost of the random numbers per sample: one `random.Random` per sample, or in bulk
  names        `microgpt generate --num-samples 300000`, minus the time for one sample
  evaluating   computing the held-out loss of 2,910 names, relative to one training epoch on them

    uv run python bench/decode_speed.py [--rounds 5] [--python torch=PATH]
"""

import os
import random
import subprocess
import sys
import tempfile
from statistics import median

import numpy as np
import pictures
from contenders import CHAT, RIVALS, compete, job_of
from harness import in_turns, parsed, pin, pythons_of, store
from machine import machine
from pictures import NAMES as TITLES
from tables import Rows, of_machines

from microgpt import InferenceGpt, ModelConfig, TrainConfig, save
from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.data.tokenizer import CharTokenizer
from microgpt.engine import mersenne
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.training.trainer import CompiledEngine
from microgpt.model import init_weights
from microgpt.model_config import count_params
from microgpt.training.train import train

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
    options = parsed(__doc__, rounds=5, python=[])
    rounds, pythons = options.rounds, pythons_of(options)
    pin()
    print(f"{machine()}, float32")
    found = {
        "machine": f"{machine()}, float32",
        "decoding": [decoding(*row, rounds, pythons) for row in DECODING],
        "seeding": seeding(rounds),
        "names": names(rounds),
        "evaluating": [evaluating(n_embd, rounds) for n_embd in (16, 64)],
    }
    kept = store("decode_speed", found, options)
    print(*(of(kept) for of in TABLES.values()), sep="\n\n")


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
    job = job_of(model, weights, batch_size=n_together, steps=n_times, docs=[])

    def agree(ours: np.ndarray, others: np.ndarray) -> bool:
        return bool(np.mean(ours == others) >= AGREEMENT)

    n_tokens = n_together * n_times * model.block_size
    speeds = {
        who: n_tokens / median(contender.seconds)
        for who, contender in compete("decode", job, RIVALS, rounds, pythons, agree).items()
    }
    print(f"{name}: {speeds['microgpt']:,.0f} tokens/s", flush=True)
    return {"name": name, "tokens_per_s": speeds}


def seeding(rounds: int) -> dict:
    """Return the time in microseconds to draw the 16 random numbers of a sample."""
    n = 4096

    def one_by_one() -> None:
        for seed in range(n):
            rng = random.Random(seed)
            for _ in range(NAMES.block_size):
                rng.random()

    calls = {
        "random.Random": one_by_one,
        "in bulk": lambda: mersenne.uniforms(range(n), NAMES.block_size),
    }
    return {name: 1e6 * s / n for name, s in in_turns(calls, rounds).items()}


def names(rounds: int) -> dict:
    """Return the seconds to generate one name and many names with Karpathy's model."""
    with tempfile.TemporaryDirectory() as folder:
        save(train(load_text(bundled("names.txt"))), f"{folder}/model")
        command = [sys.executable, "-m", "microgpt_cli", "generate", "--model"]

        def generate(n: int) -> None:
            whole = [*command, f"{folder}/model", "--num-samples", str(n)]
            subprocess.run(whole, stdout=subprocess.DEVNULL, env=environment(), check=True)

        calls = {str(n): lambda n=n: generate(n) for n in (1, N_NAMES)}
        one, many = in_turns(calls, rounds).values()
    speed = (N_NAMES - 1) / (many - one)
    return {"one_s": one, "many_s": many, "n": N_NAMES, "names_per_s": speed}


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

    zeros = np.zeros(count_params(model))

    def learn() -> None:
        engine.resume(0, weights, zeros, zeros)
        while engine.n_steps < config.steps:
            engine.run(config.steps)

    compiled = CompiledModel(model, weights, "float32")
    trained = train(docs, model=ModelConfig(n_embd=n_embd), config=TrainConfig(steps=1))
    inference = InferenceGpt(trained)
    calls = {
        "train": learn,
        "kernels": lambda: compiled.nll(tokens),
        "evaluate": lambda: inference.evaluate(docs),
    }
    return {"n_embd": n_embd, "n_docs": len(docs), **in_turns(calls, rounds)}


def decoding_rows(decoding: dict) -> Rows:
    """Return a row for each model and batch size, with the decoding speeds."""
    rows = []
    for row in decoding["decoding"]:
        speeds = dict(row["tokens_per_s"])
        ours = speeds.pop("microgpt")
        others = [f"{speed:,.0f} ({ours / speed:.1f} ×)" for speed in speeds.values()]
        rows.append([row["name"], f"**{ours:,.0f}**", *others])
    return rows


def names_rows(decoding: dict) -> Rows:
    """Return the speeds of seeding and of the whole command."""
    seeding, names = decoding["seeding"], decoding["names"]
    one, many = seeding["random.Random"], seeding["in bulk"]
    return [
        ["random numbers per name, one `random.Random` per name", f"{one:.2f} µs"],
        ["the same numbers in bulk", f"**{many:.2f} µs** ({one / many:.1f} ×)"],
        [
            f"`microgpt generate --num-samples {names['n']}`, start-up subtracted",
            f"**{names['names_per_s']:,.0f} names/s**",
        ],
    ]


def evaluating_rows(decoding: dict) -> Rows:
    """Return a row for each model, with the times of training and evaluation."""
    rows = []
    for row in decoding["evaluating"]:
        cells = [
            f"{row[what] * 1e3:.1f} ms ({row[what] / row['train']:.2f} ×)"
            for what in ("kernels", "evaluate")
        ]
        name = f"d{row['n_embd']}, {row['n_docs']:,} names"
        rows.append([name, f"{row['train'] * 1e3:.1f} ms", *cells])
    return rows


EVALUATING = ["", "training", "loss of tokens", "`InferenceGpt.evaluate` of texts"]
TABLES = {
    "decode_speed": of_machines(["tokens/s", *TITLES.values()], decoding_rows),
    "decode_names": of_machines(["", ""], names_rows),
    "evaluating": of_machines(EVALUATING, evaluating_rows),
}
PICTURES = {"decode_speed": pictures.speeds}

if __name__ == "__main__":
    main()
