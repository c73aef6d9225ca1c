"""Measure the losses of `train --minutes` on six texts.

    uv run python bench/minutes.py [--only "towns, 60 s"] [--seeds 3]

Trains with the `microgpt` command. Three of the texts were not used to fit the rule of
`microgpt.training.choice`, which is given the operations of the given time. The losses are measured
on the test part, which is used for nothing else. 40 minutes on one core of an AMD EPYC (Zen 5).
"""

import tempfile
from functools import partial
from statistics import fmean
from typing import Any

from harness import TRAINING, command, headed, mean_and_sd, needs, parsed, runs_of, train_missing
from texts import PACKAGES, text_of

from microgpt import InferenceGpt, ReadOptions, hold_out, load, load_documents

SECOND = 1.8e11  # operations per second of one core of an AMD EPYC (Zen 5)
# The texts and seconds, with the test losses of the best and the median of 20 random settings (24
# for five minutes), of the preset and of nanoGPT (studies `minutes`, last at a922fbb8, and for the
# preset at 6337c16e).
BUDGETS = {
    ("names", 60): (2.8084, 2.8792, 2.7977, 3.2700),
    ("shakespeare", 60): (1.8465, 2.0994, 1.9455, 2.9793),
    ("german words", 60): (1.7611, 1.8919, 1.7984, 2.8646),
    ("towns", 60): (2.4277, 2.5482, 2.3909, 2.6785),
    ("technical prose", 60): (1.4348, 1.7460, 1.4923, 2.5797),
    ("french words", 60): (1.9154, 2.0971, 2.0172, 2.7229),
    ("technical prose", 300): (1.3372, 1.6109, 1.4231, 1.6995),
}


def main() -> None:
    """Run the missing training runs and print the table."""
    runs = {f"{text}, {seconds} s": (text, seconds) for text, seconds in BUDGETS}
    options = parsed(__doc__, only=runs, **TRAINING)
    needs(*PACKAGES)
    measures = {name: partial(measured, *run) for name, run in runs.items()}
    print(minutes_table(train_missing("minutes", measures, options)))


def measured(text: str, seconds: int, seed: int) -> dict[str, Any]:
    """Train for a budget, and return the losses in bits per character."""
    file, budget = text_of(text), seconds * SECOND
    sets = hold_out(load_documents(file, ReadOptions()), {"budget": budget})
    with tempfile.TemporaryDirectory() as folder:
        words = ("--budget", budget, "--seed", seed, "--model", f"{folder}/model")
        found = command("train", "--data", file, *words)
        saved = load(f"{folder}/model")
    losses = {}
    for name, part in (("val_bits", sets.validation), ("test_bits", sets.test)):
        held_out = InferenceGpt(saved).evaluate(part, text=saved.config.text)
        losses[name] = held_out.bits_per_character
    return {**losses, "seconds": found["seconds"]}


def minutes_table(kept: dict[str, Any]) -> str:
    """Return a table of the test losses, in bits per character."""
    head = ["text", "seconds", "`--minutes`", "best of random", "ratio", "median of random",
            "preset", "nanoGPT"]  # fmt: skip
    lines = []
    for (text, seconds), (best, *others) in BUDGETS.items():
        if ours := [each["test_bits"] for each in runs_of(kept, f"{text}, {seconds} s")]:
            ratio = f"**{fmean(ours) / best:.3f}**"
            row = [text, str(seconds), f"**{mean_and_sd(ours)}**", f"{best:.4f}", ratio]
            lines.append([*row, *(f"{loss:.4f}" for loss in others)])
    return headed(head, lines, kept)


TABLES = {"minutes": minutes_table}

if __name__ == "__main__":
    main()
