"""Benchmark sampling.

Runs two benchmarks on one core, prints medians and ratios, and writes them to bench/results.

  decoding     one sequence at a time and in batches, with given random numbers, alternating with
               PyTorch (bench/rivals); both must generate the same tokens
  names        `microgpt generate --num-samples 300000`, minus the time for one sample

    uv run python bench/decode_speed.py [--rounds 5] [--python PATH]
"""

import os
import random
import subprocess
import sys
import tempfile
from statistics import median

import numpy as np
from contenders import CHAT, RIVALS, TITLES, compete, job_of
from harness import in_turns, parsed, pin, store
from machine import machine
from tables import headed

from microgpt import ModelConfig, save
from microgpt.data.documents import bundled, load_text
from microgpt.model import init_weights
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
    options = parsed(__doc__, rounds=5, python=str)
    rounds = options.rounds
    pin()
    print(f"{machine()}, float32")
    found = {
        "machine": f"{machine()}, float32",
        "decoding": [decoding(*row, rounds, options.python) for row in DECODING],
        "names": names(rounds),
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
    python: str | None,
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
        for who, contender in compete("decode", job, RIVALS, rounds, python, agree).items()
    }
    print(f"{name}: {speeds['microgpt']:,.0f} tokens/s", flush=True)
    return {"name": name, "tokens_per_s": speeds}


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


def decoding_table(kept: dict) -> str:
    """Return a table of the tokens per second."""
    lines = []
    for row in kept["decoding"]:
        speeds = dict(row["tokens_per_s"])
        ours = speeds.pop("microgpt")
        others = [f"{speed:,.0f} ({ours / speed:.1f} ×)" for speed in speeds.values()]
        lines.append([row["name"], f"**{ours:,.0f}**", *others])
    return headed(["tokens/s", *TITLES.values()], lines, kept)


def names_sentence(kept: dict) -> str:
    """Return the speed of the whole command as a sentence."""
    names = kept["names"]
    return (
        f"`microgpt generate --num-samples {names['n']}` prints {names['names_per_s']:,.0f} names "
        "per second, without the time for one sample."
    )


TABLES = {"decode_speed": decoding_table, "decode_names": names_sentence}

if __name__ == "__main__":
    main()
