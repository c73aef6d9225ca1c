"""Measure the accuracy of `--preset chat`.

Trains with three seeds on one core each, through the command line. `microgpt eval` then counts
exact answers on three sets of questions: the held-out words, names, numbers and messages of
`--split heldout`, the wordings of `--split wordings`, and data/chat_fresh.jsonl, whose writers have
not seen the grammar (docs/chat.md). Prints the shares of exact answers for each seed and writes
them to bench/results.

    uv run python bench/chat_quality.py [--seeds 3] [--at-once 2]

Takes a quarter of an hour, or less if each concurrent training run has its own core.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path

from tables import chat_table
from train_speed import machine, results_file

FIRST_SEED = 42
SPLITS = {"heldout": 4000, "wordings": 6600}  # number of conversations; at least 400 items per task
FRESH = Path(__file__).parents[1] / "data" / "chat_fresh.jsonl"
UNKNOWN = "i don't know."


def main() -> None:
    """Train, evaluate, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--at-once", type=int, default=1, help="parallel training runs, one core each"
    )
    options = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for split, n in SPLITS.items():
            command("dataset", "chat", "--split", split, "--conversations", n,
                    "--output", folder / f"{split}.jsonl")  # fmt: skip
        shutil.copy(FRESH, folder / "fresh.jsonl")
        with ThreadPoolExecutor(options.at_once) as pool:
            trainings = list(pool.map(partial(assistant, folder), seeds))
    kept = {"machine": machine(), "date": str(date.today()), "trainings": trainings}
    print(chat_table(kept))
    results_file("chat_quality").write_text(json.dumps(kept) + "\n")


def assistant(folder: Path, seed: int) -> dict:
    """Train a model, and return the cost of training and the accuracy of the model."""
    model = folder / str(seed)
    options = ("--preset", "chat", "--seed", seed, "--model", model)
    trained = json.loads(command("train", "--chat", *options, "--json"))
    facts = {"seed": seed, "seconds": trained["seconds"]}
    for split in (*SPLITS, "fresh"):
        found = json.loads(command("eval", model, "--data", folder / f"{split}.jsonl", "--json"))
        replies = found["replies"]
        tasks = {task: [each["n_exact"], each["n"]] for task, each in replies["tasks"].items()}
        inside = sum(n for task, (_, n) in tasks.items() if task != "outside")
        refused = sum(
            error["reply"] == UNKNOWN and error["task"] != "outside" for error in replies["errors"]
        )
        facts[split] = {
            "loss": found["loss"],
            "tasks": tasks,
            "refused": [refused, inside],
            "tokens_per_s": replies["tokens_per_s"],
        }
    print(facts, flush=True)
    return facts


def command(*args: object) -> str:
    """Run a microgpt command and return its output."""
    full = [sys.executable, "-m", "microgpt_cli", *map(str, args)]
    return subprocess.run(full, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
