"""Compare the training speed of the compiled engine with PyTorch on one core.

Each contender (bench/rivals) trains the same model from the same weights on the same documents in
the same order, in its own process. It trains once to warm up and then alternates with the others,
so that other load affects all of them. All must compute the same losses. Prints the median
microseconds per document or tokens per second, with the time relative to microgpt, and writes the
times of all rounds to bench/results.

    uv run python bench/train_speed.py [--rounds 5] [--only d16] [--python PATH] [--c FOLDER]

--only takes the beginning of a name (d16, d32, d64, d128, chat or text), and stores nothing. `uv
run --script` installs PyTorch outside the workspace. Use --python to choose an interpreter in which
it is already installed. With --c, the programs in C that bench/rivals/build_c.sh has built in a
folder take part, too, at the sizes for which they are built; nothing is stored then.
"""

import random
import re
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
from contenders import CHAT, RIVALS, TITLES, compete, job_of, text_of
from harness import parsed, pin, store
from machine import machine
from rivals.job import Job
from tables import headed

from microgpt.config import ModelConfig, Optimizer
from microgpt.data.documents import bundled, load_text
from microgpt.data.tokenizer import CharTokenizer
from microgpt.model import init_weights

# Tolerance in nats for each of the first ten losses: the order of float32 sums differs. Later, the
# differences grow at this high learning rate, but all contenders converge to similar losses.
AGREEMENT = 0.01
TEXT = ModelConfig(n_embd=128, n_head=4, n_layer=4, block_size=128)
VARIANT = replace(TEXT, architecture="modern")


@dataclass
class Setting:
    """A training run to be timed."""

    name: str
    model: ModelConfig
    batch_size: int
    steps: int
    lengths: tuple[int, int] | None = None  # range of uniform document lengths; None for names
    optimizer: Optimizer = "adamw"


SETTINGS = [
    *(Setting(f"d{C}, batch 1", ModelConfig(n_embd=C), 1, steps)
      for C, steps in ((16, 1000), (32, 1000), (64, 500), (128, 200))),
    *(Setting(f"d{C}, batch 16", ModelConfig(n_embd=C), 16, steps)
      for C, steps in ((16, 500), (32, 300), (64, 150), (128, 60))),
    Setting("chat, batch 16, all of 256 tokens", CHAT, 16, 4, lengths=(256, 256)),
    Setting("chat, batch 16, of 32 to 256 tokens", CHAT, 16, 4, lengths=(32, 256)),
    Setting("text, batch 16 of 128 tokens", TEXT, 16, 4, lengths=(128, 128)),
    Setting("text, variants", VARIANT, 16, 4, lengths=(128, 128)),
    Setting("text, variants, Muon", VARIANT, 16, 4, lengths=(128, 128), optimizer="muon"),
]  # fmt: skip


def main() -> None:
    """Time every setting, print a table and write the results."""
    options = parsed(__doc__, rounds=5, only="", python=str, c=Path)
    pin()  # child processes inherit it
    settings = [each for each in SETTINGS if each.name.startswith(options.only)]
    found = {
        "machine": f"{machine()}, float32",
        "settings": [measure(each, options) for each in settings],
    }
    options.is_short = options.is_short or bool(options.only or options.c)
    print(speed_table(store("train_speed", found, options)))


def measure(setting: Setting, options: Namespace) -> dict:
    """Return the seconds of each round, by contender."""
    job = make_job(setting)

    def agree(ours: np.ndarray, others: np.ndarray) -> bool:
        return bool(np.abs(ours - others)[:10].max() <= AGREEMENT)

    size = "-".join(re.findall(r"[a-z0-9]+", setting.name))  # the name of a program for it
    programs = sorted(options.c.glob(f"*/{size}")) if options.c else []
    contenders = compete("train", job, RIVALS, options.rounds, options.python, agree, programs)
    return {
        "name": setting.name,
        "documents": len(job.docs),
        "tokens": sum(len(doc) - 1 for doc in job.docs),
        "contenders": {name: {"seconds": each.seconds} for name, each in contenders.items()},
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


def speed_table(speed: dict) -> str:
    """Return a table of the median times and their ratios to ours."""
    lines, names = [], dict[str, None]()
    for setting in speed["settings"]:
        seconds = {name: median(c["seconds"]) for name, c in setting["contenders"].items()}
        ours = seconds.pop("microgpt")
        names.update(dict.fromkeys(seconds))
        others = {name: f"{amount(setting, x)} ({x / ours:.1f} ×)" for name, x in seconds.items()}
        lines.append([setting["name"], f"**{amount(setting, ours)}**", others])
    rows = [[*line[:2], *(line[2].get(name, "") for name in names)] for line in lines]
    return headed(["", "microgpt", *(TITLES.get(name, name) for name in names)], rows, speed)


def amount(setting: dict, seconds: float) -> str:
    """Format a time in the unit of the setting."""
    if setting["name"].startswith(("chat", "text")):
        return f"{setting['tokens'] / seconds:,.0f} tokens/s"
    micros = seconds / setting["documents"] * 1e6
    return f"{micros:.1f} µs" if micros < 100 else f"{micros:.0f} µs"


TABLES = {"train_speed": speed_table}

if __name__ == "__main__":
    main()
