"""Compare the training speed of the compiled engine with JAX, PyTorch and NumPy on one core.

Each contender (bench/rivals) trains the same model from the same weights on the same documents in
the same order, in its own process. It trains once to warm up and then alternates with the others,
so that other load affects all of them. All must compute the same losses. Prints the microseconds
per document (fastest round and median) or the tokens per second, and our speed-up over each rival,
and writes them to bench/results.

    uv run python bench/train_speed.py [--rounds 5] [--only d16] [--python torch=PATH]

`uv run --script` installs JAX and PyTorch outside the workspace. Use --python to choose an
interpreter in which one of them is already installed.
"""

import argparse
import contextlib
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from microgpt.config import ModelConfig, Optimizer
from microgpt.data.documents import bundled, load_text
from microgpt.data.tokenizer import CharTokenizer
from microgpt.model import init_weights

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "rivals"))

from job import Job  # noqa: E402

RIVALS = ("jax", "torch", "numpy")
# Tolerance in nats for each of the first ten losses: the order of float32 sums differs. Later, the
# differences grow at this high learning rate, but all contenders converge to similar losses.
AGREEMENT = 0.01
TEXT = ModelConfig(n_embd=128, n_head=4, n_layer=4, block_size=128)
VARIANT = replace(
    TEXT, positions="rotary", token_shift=True, activation="relu2", qk_norm=True, final_norm=True
)
CHAT = ModelConfig(n_embd=128, n_head=8, n_layer=4, block_size=256)


@dataclass
class Setting:
    """A training run to be timed."""

    name: str
    model: ModelConfig
    batch_size: int
    steps: int
    lengths: tuple[int, int] | None = None  # range of uniform document lengths; None for names
    kept_losses: int = 10  # number of losses in the results
    optimizer: Optimizer = "adamw"


SETTINGS = [
    *(Setting(f"d{C}, batch 1", ModelConfig(n_embd=C), 1, steps)
      for C, steps in ((16, 1000), (32, 1000), (64, 500), (128, 200))),
    *(Setting(f"d{C}, batch 16", ModelConfig(n_embd=C), 16, steps)
      for C, steps in ((16, 500), (32, 300))),
    Setting("d64, batch 16", ModelConfig(n_embd=64), 16, 150, kept_losses=150),
    Setting("d128, batch 16", ModelConfig(n_embd=128), 16, 60),
    Setting("chat, batch 16, all of 256 tokens", CHAT, 16, 4, lengths=(256, 256)),
    Setting("chat, batch 16, of 32 to 256 tokens", CHAT, 16, 4, lengths=(32, 256)),
    Setting("text, batch 16 of 128 tokens", TEXT, 16, 4, lengths=(128, 128)),
    Setting("text, variants", VARIANT, 16, 4, lengths=(128, 128)),
    Setting("text, variants, Muon", VARIANT, 16, 4, lengths=(128, 128), optimizer="muon"),
]  # fmt: skip


def main() -> None:
    """Time every setting, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="prefix of the settings to run")
    parser.add_argument("--python", action="append", default=[], metavar="RIVAL=PATH")
    arguments = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in arguments.python)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # child processes inherit it
    print(f"{machine()}, float32")
    results = []
    for setting in SETTINGS:
        if setting.name.startswith(arguments.only):
            results.append(measure(setting, arguments.rounds, pythons))
            print(table_row(results[-1]), flush=True)
    if not arguments.only:
        kept = {"machine": f"{machine()}, float32", "date": str(date.today()), "settings": results}
        results_file("train_speed").write_text(json.dumps(kept) + "\n")


def measure(setting: Setting, rounds: int, pythons: dict[str, str]) -> dict:
    """Return the seconds of each round and the losses, by contender."""
    job = make_job(setting)
    rivals = [name for name in RIVALS if name != "numpy" or not job.is_variant]
    n_tokens = sum(len(doc) - 1 for doc in job.docs)
    result: dict = {
        "name": setting.name,
        "documents": len(job.docs),
        "tokens": n_tokens,
        "contenders": {},
    }
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        job.save(f"{folder}/job.npz")
        contenders = {
            name: stack.enter_context(
                Contender(name, "train", f"{folder}/job.npz", pythons.get(name))
            )
            for name in ("microgpt", *rivals)
        }
        for _ in range(rounds):
            for contender in contenders.values():
                contender.work()
        ours = np.array(contenders["microgpt"].result[:10])
        for name, contender in contenders.items():
            if np.abs(contender.result[:10] - ours).max() > AGREEMENT:
                raise SystemExit(f"{setting.name}: {name} trains a different model")
            result["contenders"][name] = {
                "seconds": contender.seconds,
                "warm_up_s": contender.warm_up_s,
                "losses": [round(loss, 4) for loss in contender.result[: setting.kept_losses]],
            }
    return result


class Contender:
    """A contender process that runs a job on request."""

    def __init__(self, name: str, kind: str, job: str, python: str | None) -> None:
        script = str(HERE / "rivals" / f"{name}_{kind}.py")
        if name in ("microgpt", "numpy"):
            command = [sys.executable, script, job]
        elif python:
            command = [python, script, job]
        else:
            command = ["uv", "run", "--quiet", "--script", script, job]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.warm_up_s = self._read()["ready"]
        self.seconds: list[float] = []
        self.result: list[float] = []

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def work(self) -> None:
        """Run the job once, and record its time and result."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._read()
        self.seconds.append(answer["seconds"])
        self.result = answer["result"]

    def _read(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args[-2]} failed")
        return json.loads(line)


def make_job(setting: Setting) -> Job:
    """Return the job of a setting. The documents are names, or texts of many names."""
    names, rng = load_text(bundled("names.txt")), random.Random(42)
    rng.shuffle(names)
    n_docs = setting.steps * setting.batch_size
    texts = names[:n_docs]
    if setting.lengths:
        words = iter(names)
        texts = [text_of(rng.randint(*setting.lengths) - 1, words) for _ in range(n_docs)]
    tokenizer = CharTokenizer.from_documents(texts)
    model = ModelConfig(**{**vars(setting.model), "vocab_size": tokenizer.vocab_size})
    weights = init_weights(model, rng)
    return Job(
        n_head=model.n_head,
        n_layer=model.n_layer,
        block_size=model.block_size,
        vocab_size=model.vocab_size,
        batch_size=setting.batch_size,
        steps=setting.steps,
        docs=[tokenizer.encode_document(text)[: model.block_size + 1] for text in texts],
        weights={name: np.array(rows, np.float32) for name, rows in weights.items()},
        is_variant=model.positions == "rotary",
        optimizer=setting.optimizer,
    )


def text_of(length: int, words: Iterator[str]) -> str:
    """Return a text of words separated by spaces, cut to the given length."""
    text = next(words)
    while len(text) < length:
        text += " " + next(words)
    return text[:length]


def table_row(result: dict) -> str:
    """Format one line: the setting, our time, and the time and ratio of each rival."""
    contenders = {name: facts["seconds"] for name, facts in result["contenders"].items()}
    ours = contenders.pop("microgpt")
    parts = [f"{result['name']:36}| microgpt {speed(result, ours)}"]
    for name, seconds in contenders.items():
        ratio = statistics.median(seconds) / statistics.median(ours)
        parts.append(f"{name} {speed(result, seconds)}: {ratio:.2f} ×")
    return " | ".join(parts)


def speed(result: dict, seconds: list[float]) -> str:
    """Format the fastest and the median round in the unit of the setting."""
    fastest, middle = min(seconds), statistics.median(seconds)
    if result["name"].startswith(("chat", "text")):
        return f"{result['tokens'] / fastest:,.0f} ({result['tokens'] / middle:,.0f}) tokens/s"
    n = result["documents"] / 1e6
    return f"{fastest / n:.2f} ({middle / n:.2f}) µs/doc"


def machine(*, all_cores: bool = False) -> str:
    """Return the processor, the number of usable cores, the system and the Python version."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), cpu)
    has_affinity = hasattr(os, "sched_getaffinity")
    n_cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    cores = f"{n_cores} cores" if all_cores and n_cores != 1 else "one core"
    return f"{cpu}, {cores}, {platform.system()}, CPython {platform.python_version()}"


def results_file(bench: str) -> Path:
    """Return the path of this machine's results, in a folder named after the processor."""
    cpu = re.sub(r"\(R\)|\(TM\)| Processor", "", machine().split(",")[0])
    folder = HERE / "results" / "-".join(re.findall(r"[a-z0-9]+", cpu.lower()))
    folder.mkdir(exist_ok=True)
    return folder / f"{bench}.json"


if __name__ == "__main__":
    main()
