"""Compare the training speed of the compiled engine with PyTorch and programs in C on one core.

All contenders train the same model from the same weights on the same documents in the same order.
After a warm-up they take turns, so that other load affects all of them; their losses must agree.
Prints the median microseconds per document or tokens per second, and the time relative to microgpt.
The times of all rounds are written to bench/results.

    uv run python bench/train_speed.py [--rounds 5] [--only d16] [--c FOLDER]

--only selects the settings whose names begin with d16, d32, d64, d128, chat or text. With --c, the
two C programs of c_programs.py also train the models of names; they are fetched into FOLDER and
compiled there with gcc. A run with --only or without --c stores nothing.
"""

import random
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import c_programs
from contenders import CHAT, RIVALS, TITLES, TORCH, Job, compete, trainer
from harness import headed, machine, needs, parsed, pin, store

from microgpt import CharTokenizer, ModelConfig, TrainConfig, bundled, load_text

# Tolerance in nats of the first ten losses, as contenders add float32 numbers in different orders.
# Later, the differences grow at this high learning rate, but all converge to similar losses.
AGREEMENT = 0.01
TEXT = ModelConfig(n_embd=128, n_head=4, n_layer=4, block_size=128)


@dataclass
class Setting:
    """A training run to be timed."""

    name: str
    model: ModelConfig
    batch_size: int
    steps: int
    lengths: tuple[int, int] | None = None  # range of random document lengths; None for names


SETTINGS = [
    *(Setting(f"d{C}, batch 1", ModelConfig(n_embd=C), 1, steps)
      for C, steps in ((16, 1000), (32, 1000), (64, 500), (128, 200))),
    *(Setting(f"d{C}, batch 16", ModelConfig(n_embd=C), 16, steps)
      for C, steps in ((16, 500), (32, 300), (64, 150), (128, 60))),
    Setting("chat, batch 16, all of 256 tokens", CHAT, 16, 4, lengths=(256, 256)),
    Setting("chat, batch 16, of 32 to 256 tokens", CHAT, 16, 4, lengths=(32, 256)),
    Setting("text, batch 16 of 128 tokens", TEXT, 16, 4, lengths=(128, 128)),
]  # fmt: skip


def main() -> None:
    options = parsed(__doc__, rounds=5, only="", c="")
    if RIVALS:
        needs(TORCH)
    pin()
    if options.c:
        c_programs.fetch(Path(options.c))
    settings = [each for each in SETTINGS if each.name.startswith(options.only)]
    found = {
        "machine": f"{machine()}, float32",
        "settings": [measure(each, options) for each in settings],
    }
    options.is_short |= bool(options.only) or not options.c
    print(speed_table(store("train_speed", found, options)))


def measure(setting: Setting, options: Namespace) -> dict[str, Any]:
    """Return the time of each round in seconds, by contender, and the size of the job."""
    job = make_job(setting)
    contenders = {"microgpt": trainer(job)}
    if RIVALS:
        import torch_gpt

        contenders["torch"] = torch_gpt.trainer(job)
    if options.c and not setting.lengths:
        for name in c_programs.PROGRAMS:
            contenders[name] = c_programs.trainer(name, job, Path(options.c).resolve())
    seconds = compete(contenders, options.rounds, lambda a, b: abs(a - b)[:10].max() <= AGREEMENT)
    return {
        "name": setting.name,
        "documents": len(job.docs),
        "tokens": sum(len(doc) - 1 for doc in job.docs),
        "contenders": {name: {"seconds": each} for name, each in seconds.items()},
    }


def make_job(setting: Setting) -> Job:
    """Return the job of a setting. Each document is a name, or a text made of many names."""
    names, rng = load_text(bundled("names.txt")), random.Random(42)
    rng.shuffle(names)
    texts = names[: setting.steps * setting.batch_size]
    if setting.lengths:
        spaced, start = " ".join(names), 0
        for i in range(len(texts)):
            end = start + rng.randint(*setting.lengths) - 1
            texts[i], start = spaced[start:end], end
    tokenizer = CharTokenizer.from_documents(texts)
    model = replace(setting.model, vocab_size=tokenizer.vocab_size)
    docs = [tokenizer.encode_document(text)[: model.block_size + 1] for text in texts]
    config = TrainConfig(steps=setting.steps, batch_size=setting.batch_size)
    return Job(model=model, rng=rng, config=config, docs=docs)


def speed_table(speed: dict[str, Any]) -> str:
    """Return a table of the median times and their ratios to those of microgpt."""
    rivals = dict.fromkeys(name for each in speed["settings"] for name in each["contenders"])
    del rivals["microgpt"]
    lines = []
    for setting in speed["settings"]:
        seconds = {name: median(each["seconds"]) for name, each in setting["contenders"].items()}
        ours = seconds["microgpt"]
        others = {name: f"{amount(setting, x)} ({x / ours:.1f} ×)" for name, x in seconds.items()}
        cells = [others.get(name, "") for name in rivals]
        lines.append([setting["name"], f"**{amount(setting, ours)}**", *cells])
    return headed(["", "microgpt", *(TITLES.get(name, name) for name in rivals)], lines, speed)


def amount(setting: dict[str, Any], seconds: float) -> str:
    """Format a time: as tokens per second for chat and text, else as µs per document."""
    if setting["name"].startswith(("chat", "text")):
        return f"{setting['tokens'] / seconds:,.0f} tokens/s"
    micros = seconds / setting["documents"] * 1e6
    return f"{micros:.1f} µs" if micros < 100 else f"{micros:.0f} µs"


TABLES = {"train_speed": speed_table}

if __name__ == "__main__":
    main()
