"""Exact answers of models of `--preset chat` to three sets of questions.

    uv run python bench/chat_quality.py [--seeds 3] [--at-once 2]

Trains with three seeds on one core each, through the command line. `microgpt eval` then counts
exact answers on three sets of data/: chat_heldout.jsonl with held-out words, names and numbers,
chat_fresh.jsonl, whose writers have not seen the grammar, and chat_fourth.jsonl, which was not used
to choose anything. On one core each of an AMD EPYC (Zen 5), the training runs take five to seven
minutes.
"""

import json
import subprocess
import sys
import tempfile
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import fmean

from harness import ROOT, parsed, seeds, store
from tables import headed

OUTSIDE = "i do sums to 99 and spelling."


def main() -> None:
    """Train, evaluate, and print the table."""
    options = parsed(__doc__, seeds=3, at_once=1)
    print(chat_table(store("chat_quality", measured(options), options)))


def measured(options: Namespace) -> dict:
    """Return the cost of each training and the accuracy of its model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ThreadPoolExecutor(options.at_once) as pool:
            trainings = list(pool.map(partial(assistant, folder), seeds(options)))
    return {"trainings": trainings}


def assistant(folder: Path, seed: int) -> dict:
    """Train a model, and return the cost of training and the accuracy of the model."""
    model = folder / str(seed)
    options = ("--preset", "chat", "--seed", seed, "--model", model)
    trained = json.loads(command("train", "--chat", *options, "--json"))
    facts = {"seed": seed, "seconds": trained["seconds"]}
    for split in CHAT_SETS:
        file = ROOT / f"data/chat_{split}.jsonl"
        found = json.loads(command("eval", model, "--data", file, "--json"))
        replies = found["replies"]
        tasks = {task: [each["n_exact"], each["n"]] for task, each in replies["tasks"].items()}
        inside = sum(n for task, (_, n) in tasks.items() if task != "outside")
        refused = sum(
            error["reply"] == OUTSIDE and error["task"] != "outside" for error in replies["errors"]
        )
        facts[split] = {
            "loss": found["loss"],
            "tasks": tasks,
            "refused": [refused, inside],
        }
    print(facts, flush=True)
    return facts


def command(*args: object) -> str:
    """Run a microgpt command and return its output."""
    full = [sys.executable, "-m", "microgpt_cli", *map(str, args)]
    return subprocess.run(full, check=True, capture_output=True, text=True).stdout


CHAT_SETS = {"heldout": "held-out", "fresh": "fresh wordings", "fourth": "fourth set"}


def chat_table(quality: dict) -> str:
    """Return a table of the shares of exact answers per task: mean and minimum over the seeds."""
    first = quality["trainings"][0]
    head = ["task", *CHAT_SETS.values()]
    lines = []
    tasks = list(dict.fromkeys(task for split in CHAT_SETS for task in first[split]["tasks"]))
    for task in tasks:
        lines.append([task, *(shares(quality, split, [task]) for split in CHAT_SETS)])
    lines += [
        ["*mean of the tasks*", *(shares(quality, split, tasks) for split in CHAT_SETS)],
        ["*wrongly refused*", *(refusals(quality, split) for split in CHAT_SETS)],
    ]
    return headed(head, lines, quality)


def shares(quality: dict, split: str, tasks: list[str]) -> str:
    """Format the mean share of exact answers to the tasks over the seeds, and the lowest share."""
    found = [
        fmean(n_exact / n for n_exact, n in scores)
        for training in quality["trainings"]
        if (scores := [training[split]["tasks"][t] for t in tasks if t in training[split]["tasks"]])
    ]
    return f"{fmean(found):.1%} ({min(found):.1%})" if found else ""


def refusals(quality: dict, split: str) -> str:
    """Format the mean share of refused items that are in the grammar, and the highest share."""
    found = [
        n_refused / n
        for training in quality["trainings"]
        for n_refused, n in [training[split]["refused"]]
    ]
    return f"{fmean(found):.2%} ({max(found):.2%})"


TABLES = {"chat_quality": chat_table}

if __name__ == "__main__":
    main()
