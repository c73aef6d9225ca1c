"""Count the questions of three sets that `--preset chat` models answer exactly.

    uv run python bench/chat_quality.py [--seeds 3]

Trains with the `microgpt` command, on one core. `microgpt eval` then counts exact answers on three
sets in data/. chat_heldout.jsonl has held-out words, names and numbers. The writers of
chat_fresh.jsonl had not seen the training data. Nothing was tuned on chat_fourth.jsonl.
Takes about ten minutes per seed on one core of an AMD EPYC (Zen 5).
"""

import tempfile
from statistics import fmean
from typing import Any

from harness import ROOT, TRAINING, command, headed, parsed, train_missing

OUTSIDE = "i do sums to 99 and spelling."
CHAT_SETS = {"heldout": "held-out", "fresh": "fresh wordings", "fourth": "fourth set"}


def main() -> None:
    options = parsed(__doc__, only=("chat",), **TRAINING)
    print(chat_table(train_missing("chat_quality", {"chat": measured}, options)))


def measured(seed: int) -> dict[str, Any]:
    """Train a model; return the training time, and the loss and the accuracy on each set."""
    with tempfile.TemporaryDirectory() as folder:
        words = ("--preset", "chat", "--seed", seed, "--model", f"{folder}/model")
        facts = {"seconds": command("train", "--chat", *words)["seconds"]}
        for name in CHAT_SETS:
            file = ROOT / f"data/chat_{name}.jsonl"
            found = command("eval", f"{folder}/model", "--data", file)
            facts[name] = {"loss": found["loss"], **accuracy(found["replies"])}
    return facts


def accuracy(replies: dict[str, Any]) -> dict[str, Any]:
    """Return the counts of exact answers and of questions per task, and of wrong refusals."""
    tasks = {task: [each["n_exact"], each["n"]] for task, each in replies["tasks"].items()}
    inside = sum(n for task, (_, n) in tasks.items() if task != "outside")
    wrong = [each for each in replies["errors"] if each["task"] != "outside"]
    return {"tasks": tasks, "refused": [sum(e["reply"] == OUTSIDE for e in wrong), inside]}


def chat_table(kept: dict[str, Any]) -> str:
    """Return a table of the fraction of exact answers per task: mean and minimum over the seeds."""
    first = kept["trainings"][0]
    tasks = list(dict.fromkeys(task for name in CHAT_SETS for task in first[name]["tasks"]))
    lines = [[task, *(shares(kept, name, [task]) for name in CHAT_SETS)] for task in tasks]
    lines += [
        ["*mean of the tasks*", *(shares(kept, name, tasks) for name in CHAT_SETS)],
        ["*wrongly refused*", *(refusals(kept, name) for name in CHAT_SETS)],
    ]
    return headed(["task", *CHAT_SETS.values()], lines, kept)


def shares(kept: dict[str, Any], name: str, tasks: list[str]) -> str:
    """Format the fraction of exact answers in the given tasks: mean and minimum over the seeds."""
    found = [
        fmean(n_exact / n for n_exact, n in scores)
        for training in kept["trainings"]
        if (scores := [training[name]["tasks"][t] for t in tasks if t in training[name]["tasks"]])
    ]
    return f"{fmean(found):.1%} ({min(found):.1%})" if found else ""


def refusals(kept: dict[str, Any], name: str) -> str:
    """Format the fraction of answerable questions that are refused: mean and maximum over seeds."""
    found = [
        n_refused / n for n_refused, n in (each[name]["refused"] for each in kept["trainings"])
    ]
    return f"{fmean(found):.2%} ({max(found):.2%})"


TABLES = {"chat_quality": chat_table}

if __name__ == "__main__":
    main()
