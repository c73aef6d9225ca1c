"""Measure losses of models from a uniform guess to a GPT, and compare Elman networks with a GPT.

`microgpt ladder` trains the models on four texts, two of which depend on the version of Python. An
Elman network trains on names with as many operations as 1,000 and 10,000 steps of Karpathy's GPT.

    uv run python bench/ladder.py [--only names] [--seeds 3]

Reuses existing results unless --again is given. Takes five minutes on one core (AMD EPYC, Zen 4).
"""

import re
import sys
import sysconfig
import tempfile
import tokenize
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from harness import TRAINING, command, headed, mean_and_sd, parsed, runs_of, train_missing

import microgpt
from microgpt import ModelConfig
from microgpt_cli.baselines import loss_of, to_score
from microgpt_cli.elman import train_elman
from microgpt_cli.ladder import operations_of

FILES = Path(tempfile.gettempdir(), "microgpt-texts")
CONVERSION_TABLES, TOPICS = "encodings", "pydoc_data"  # packages that consist mostly of data
TEXTS = {
    "names": lambda: microgpt.bundled("names.txt"),
    "shakespeare": lambda: microgpt.bundled("shakespeare.txt"),
    "identifiers": lambda: written("identifiers", identifiers()),
    "technical prose": lambda: written("technical prose", technical_prose()),
}
BUDGET = 1e11  # number of operations to train the first GPT of `microgpt ladder`
STEPS = (1000, 10_000)  # numbers of training steps of Karpathy's GPT


def main() -> None:
    measures = {f"ladder, {name}": partial(climbed, text=name) for name in TEXTS}
    measures["karpathy"] = beside_karpathys
    options = parsed(__doc__, only=(*measures, *TEXTS), **TRAINING)
    kept = train_missing("ladder", measures, options)
    print(*filter(None, (table(kept) for table in TABLES.values())), sep="\n\n")


def climbed(seed: int, *, text: str) -> dict[str, Any]:
    """Return the test losses of the models of `microgpt ladder`, by model name."""
    found = command("ladder", "--data", TEXTS[text](), "--budget", BUDGET, "--seed", seed)
    losses: dict[str, float] = {}
    for rung in found["rungs"]:
        name = rung["name"].partition(" (n")[0].partition(",")[0]
        losses[name + ", more" * (name in losses)] = rung["loss"]
    return {"losses": losses}


def beside_karpathys(seed: int) -> dict[str, Any]:
    """Train Karpathy's GPT, and Elman networks with as many operations; return losses and times."""
    microgpt.prepare_engine("compiled", uses=("training", "evaluation"))
    docs = microgpt.load_documents(TEXTS["names"](), microgpt.ReadOptions())
    sets = microgpt.hold_out(docs, {"budget": 1e12})
    losses, seconds = dict[str, float](), dict[str, float]()
    for steps in STEPS:
        given = {"steps": steps, "seed": seed}
        job = microgpt.plan_training(sets, given, model=ModelConfig())
        test = to_score(job.sets.test, job.plan.tokenizer, "lines", job.plan.model.block_size)
        started = perf_counter()
        losses[f"GPT, {steps:,} steps"] = microgpt.train_job(job).test_loss
        trained = perf_counter()
        network = train_elman(job.chunks, operations_of(job), seed)
        seconds[f"Elman, {steps:,} steps"] = perf_counter() - trained
        losses[f"Elman, {steps:,} steps"] = loss_of(network.probabilities, test)
        seconds[f"GPT, {steps:,} steps"] = trained - started
    return {"losses": losses, "seconds": seconds}


def written(name: str, text: str) -> Path:
    """Write a text to a temporary folder, and return the path of the file."""
    microgpt.publish(FILES, {f"{name}.txt": text.encode()})
    return FILES / f"{name}.txt"


def identifiers() -> str:
    """Return the names of the standard library's functions and classes, one per line."""
    root = Path(sysconfig.get_path("stdlib"))
    packages = sys.stdlib_module_names - {CONVERSION_TABLES, TOPICS}
    names: dict[str, None] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] in packages and not {"test", "tests", "idle_test"} & set(parts):
            with tokenize.open(path) as file:
                found = re.findall(r"^ *(?:def|class) (\w+)", file.read(), re.MULTILINE)
            names |= dict.fromkeys(found)
    return "".join(f"{name}\n" for name in names)


def technical_prose() -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name].strip() for name in sorted(topics))


def ladders_table(kept: dict[str, Any]) -> str:
    """Return a table of the losses, with a column per text."""
    found = [[each["losses"] for each in runs_of(kept, f"ladder, {text}")] for text in TEXTS]
    names = dict.fromkeys(name for runs in found for losses in runs for name in losses)
    lines = [
        [name, *(mean_and_sd([each[name] for each in runs if name in each], 3) for runs in found)]
        for name in names
    ]
    return headed(["nats per character", *TEXTS], lines, kept) if lines else ""


def karpathy_table(kept: dict[str, Any]) -> str:
    """Return a table of the losses and times of the Elman network and of Karpathy's GPT."""
    found, lines = runs_of(kept, "karpathy"), []
    for name in found[0]["losses"] if found else ():
        figures = ([run[what][name] for run in found] for what in ("losses", "seconds"))
        lines.append([name, *(mean_and_sd(each, 3) for each in figures)])
    return headed(["", "nats per character", "seconds"], lines, kept) if lines else ""


TABLES = {"ladders": ladders_table, "ladder_karpathy": karpathy_table}

if __name__ == "__main__":
    main()
