"""Exact answers of models of `--preset chat` to four sets of questions.

    uv run python bench/chat_quality.py [--seeds 3] [--at-once 2]

Trains with three seeds on one core each, through the command line. `microgpt eval` then counts
exact answers on four sets of questions: the held-out words, names, numbers and messages of `--split
heldout`, the wordings of `--split wordings`, data/chat_fresh.jsonl, whose writers have not seen the
grammar, and data/chat_fourth.jsonl, which was not used to choose anything. On one core each of an
AMD EPYC (Zen 5), the training runs take five to seven minutes.
"""

import json
import shutil
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

SPLITS = {"heldout": 4000, "wordings": 6600}  # number of conversations; at least 400 items per task
WRITTEN = ("fresh", "fourth")  # sets of data/, which no grammar has generated
OUTSIDE = "i do sums to 99 and spelling."


def main() -> None:
    """Train, evaluate, and print the table."""
    options = parsed(__doc__, seeds=3, at_once=1)
    print(chat_table(store("chat_quality", measured(options), options)))


def measured(options: Namespace) -> dict:
    """Return the cost of each training and the accuracy of its model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for split, n in SPLITS.items():
            command("dataset", "chat", "--split", split, "--conversations", n,
                    "--output", folder / f"{split}.jsonl")  # fmt: skip
        for written in WRITTEN:
            shutil.copy(ROOT / "data" / f"chat_{written}.jsonl", folder / f"{written}.jsonl")
        with ThreadPoolExecutor(options.at_once) as pool:
            trainings = list(pool.map(partial(assistant, folder), seeds(options)))
    return {"trainings": trainings}


def assistant(folder: Path, seed: int) -> dict:
    """Train a model, and return the cost of training and the accuracy of the model."""
    model = folder / str(seed)
    options = ("--preset", "chat", "--seed", seed, "--model", model)
    trained = json.loads(command("train", "--chat", *options, "--json"))
    facts = {"seed": seed, "seconds": trained["seconds"]}
    for split in (*SPLITS, *WRITTEN):
        found = json.loads(command("eval", model, "--data", folder / f"{split}.jsonl", "--json"))
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


CHAT_SETS = {
    "heldout": "held-out", "wordings": "unseen wordings", "fresh": "fresh wordings",
    "fourth": "fourth set",
}  # fmt: skip


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
