"""Compare the training speed of the compiled engine with JAX, PyTorch and NumPy on one core.

Each contender (bench/rivals) trains the same model from the same weights on the same documents in
the same order, in its own process. It trains once to warm up and then alternates with the others,
so that other load affects all of them. All must compute the same losses. Prints the median
microseconds per document or tokens per second, with the time relative to microgpt, and writes the
times of all rounds to bench/results.

    uv run python bench/train_speed.py [--rounds 5] [--only d16] [--python torch=PATH] [--c FOLDER]

--only takes the beginning of a name (d16, d32, d64, d128, chat or text), and stores nothing. `uv
run --script` installs JAX and PyTorch outside the workspace. Use --python to choose an
interpreter in which one of them is already installed. With --c, the programs in C of a folder take
part, too; docs/measurements/speed.md describes how to build them.
"""

import random
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pictures
from contenders import CHAT, RIVALS, compete, job_of, text_of
from harness import parsed, pin, pythons_of, store
from machine import folder_name, machine
from pictures import NAMES, middle
from rivals.job import Job
from tables import Rows, of_machines, table

from microgpt.config import ModelConfig, Optimizer
from microgpt.data.documents import bundled, load_text
from microgpt.data.tokenizer import CharTokenizer
from microgpt.model import init_weights

# Tolerance in nats for each of the first ten losses: the order of float32 sums differs. Later, the
# differences grow at this high learning rate, but all contenders converge to similar losses.
AGREEMENT = 0.01
C_PROGRAMS = ("microgpt-c", "EEmicroGPT")  # folders of --c
TEXT = ModelConfig(n_embd=128, n_head=4, n_layer=4, block_size=128)
VARIANT = replace(
    TEXT, positions="rotary", token_shift=True, activation="relu2", qk_norm=True, final_norm=True
)


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
    options = parsed(__doc__, rounds=5, only="", python=[], c=Path)
    pin()  # child processes inherit it
    print(f"{machine()}, float32")
    results, names = [], [*NAMES, *(C_PROGRAMS if options.c else ())]
    print("", *(NAMES.get(each, each) for each in names), sep=" | ")
    for setting in SETTINGS:
        if setting.name.startswith(options.only):
            results.append(measure(setting, options))
            print(*speed_row(results[-1], names), sep=" | ", flush=True)
    if not options.only:
        found = {"machine": f"{machine()}, float32", "settings": results}
        store("train_speed", found, options)


def measure(setting: Setting, options: Namespace) -> dict:
    """Return the seconds of each round and the losses, by contender."""
    job = make_job(setting)
    rivals = [name for name in RIVALS if name != "numpy" or not job.is_variant]
    programs = sorted(options.c.glob(f"*/{folder_name(setting.name)}")) if options.c else []

    def agree(ours: np.ndarray, others: np.ndarray) -> bool:
        return bool(np.abs(ours - others)[:10].max() <= AGREEMENT)

    contenders = compete("train", job, rivals, options.rounds, pythons_of(options), agree, programs)
    return {
        "name": setting.name,
        "documents": len(job.docs),
        "tokens": sum(len(doc) - 1 for doc in job.docs),
        "contenders": {
            name: {
                "seconds": each.seconds,
                "warm_up_s": each.warm_up_s,
                "losses": [round(loss, 4) for loss in each.result[: setting.kept_losses]],
            }
            for name, each in contenders.items()
        },
    }


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
    docs = [tokenizer.encode_document(text)[: model.block_size + 1] for text in texts]
    return job_of(
        model,
        init_weights(model, rng),
        batch_size=setting.batch_size,
        steps=setting.steps,
        docs=docs,
        optimizer=setting.optimizer,
    )


def speed_rows(speed: dict) -> Rows:
    """Return a row for each setting, with the median times and their ratios to ours."""
    return [speed_row(each, [*NAMES]) for each in speed["settings"]]


def c_rows(speed: dict) -> Rows:
    """Return a row for each setting that programs in C are built for."""
    settings = [each for each in speed["settings"] if C_PROGRAMS[0] in each["contenders"]]
    return [speed_row(each, ["microgpt", *C_PROGRAMS]) for each in settings]


def speed_row(setting: dict, names: list[str]) -> list[str]:
    """Return the median times of contenders and their ratios to ours; some have no time."""
    seconds = {name: middle(c) for name, c in setting["contenders"].items()}
    ours = seconds["microgpt"]
    others = [
        f"{amount(setting, seconds[name])} ({seconds[name] / ours:.1f} ×)"
        if name in seconds
        else ""
        for name in names[1:]
    ]
    return [setting["name"], f"**{amount(setting, ours)}**", *others]


def c_table(*machines: dict) -> str:
    """Return the table of the machines on which programs in C have taken part, if any."""
    measured = [each for each in machines if c_rows(each)]
    return table(["", "microgpt", *C_PROGRAMS], c_rows, measured) if measured else ""


def claim(*machines: dict) -> str:
    """Return the range of each rival's training times relative to ours, as a sentence."""
    times: dict[str, list[float]] = {}
    for setting in (setting for speed in machines for setting in speed["settings"]):
        ours = middle(setting["contenders"]["microgpt"])
        for name, contender in setting["contenders"].items():
            times.setdefault(name, []).append(middle(contender) / ours)
    ranges = {name: f"{min(each):.1f} to {max(each):.1f}" for name, each in times.items()}
    titles = {**NAMES, "torch": "PyTorch (eager mode, without `torch.compile`)"}
    rivals = [name for name in (*NAMES, *C_PROGRAMS) if name in ranges and name != "microgpt"]
    found = ", ".join(f"{titles.get(name, name)} {ranges[name]} times" for name in rivals)
    return (
        "Time to train the same model on one core of an x86-64 processor with AVX-512, relative to "
        f"the compiled engine: {found} ([every size](measurements/speed.md#training))."
    )


def amount(setting: dict, seconds: float) -> str:
    """Format a time in the unit of the setting."""
    if setting["name"].startswith(("chat", "text")):
        return f"{setting['tokens'] / seconds:,.0f} tokens/s"
    micros = seconds / setting["documents"] * 1e6
    return f"{micros:.1f} µs" if micros < 100 else f"{micros:.0f} µs"


TABLES = {
    "train_speed": of_machines(["", *NAMES.values()], speed_rows),
    "c_speed": c_table,
    "speed_claim": claim,
}
PICTURES = {"train_speed": pictures.ratios, "loss_against_seconds": pictures.curves}

if __name__ == "__main__":
    main()
