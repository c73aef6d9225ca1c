"""Compare the generation speed of microgpt and PyTorch on one core.

The programs take turns. They generate single sequences and batches from the same random numbers,
and must generate the same tokens. Prints the tokens per second and their ratios, and writes them to
bench/results.

    uv run python bench/decode_speed.py [--rounds 5]
"""

import random
from dataclasses import replace
from statistics import median
from typing import Any

from contenders import CHAT, RIVALS, TITLES, TORCH, Job, compete, generator
from harness import headed, machine, needs, parsed, pin, store

from microgpt import ModelConfig

NAMES = ModelConfig()
DECODING = [  # name, model, vocabulary size, sequences per batch, repetitions
    ("d16, one sequence", NAMES, 27, 1, 1000),
    ("d16, 50 together", NAMES, 27, 50, 40),
    ("chat, one sequence", CHAT, 80, 1, 2),
    ("chat, 16 together", CHAT, 80, 16, 1),
]
AGREEMENT = 0.98  # minimum fraction of equal tokens; rounding can change a token and all later ones


def main() -> None:
    options = parsed(__doc__, rounds=5)
    if RIVALS:
        needs(TORCH)
    pin()
    found = {
        "machine": f"{machine()}, float32",
        "decoding": [decoding(*row, options.rounds) for row in DECODING],
    }
    print(decoding_table(store("decode_speed", found, options)))


def decoding(
    name: str, shape: ModelConfig, vocab_size: int, n_together: int, n_times: int, rounds: int
) -> dict[str, Any]:
    """Return the tokens per second of each contender for sequences that fill the context."""
    model = replace(shape, vocab_size=vocab_size)
    job = Job(model=model, rng=random.Random(1), n_together=n_together, n_times=n_times)
    contenders = {"microgpt": generator(job)}
    if RIVALS:
        import torch_gpt

        contenders["torch"] = torch_gpt.generator(job)
    seconds = compete(contenders, rounds, lambda a, b: (a == b).mean() >= AGREEMENT)
    n_tokens = n_together * n_times * model.block_size
    speeds = {who: n_tokens / median(each) for who, each in seconds.items()}
    return {"name": name, "tokens_per_s": speeds}


def decoding_table(kept: dict[str, Any]) -> str:
    """Return a table of the tokens per second."""
    lines = []
    for row in kept["decoding"]:
        speeds = dict(row["tokens_per_s"])
        ours = speeds.pop("microgpt")
        others = [f"{speed:,.0f} ({ours / speed:.1f} ×)" for speed in speeds.values()]
        lines.append([row["name"], f"**{ours:,.0f}**", *others])
    return headed(["tokens/s", *TITLES.values()], lines, kept)


TABLES = {"decode_speed": decoding_table}

if __name__ == "__main__":
    main()
