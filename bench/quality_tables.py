"""Markdown tables for report.py with the results of quality.py, ablation.py and kneser_ney.py."""

from collections.abc import Iterable
from statistics import fmean, stdev
from typing import Any

from tables import conditions

SETTINGS = {  # settings that presets add to Karpathy's, with their config fields
    "dropout": ("dropout",),
    "weight decay": ("weight_decay",),
    "averaging": ("average_tail",),
}
ABLATED = "names-60s with AdamW"  # also trained in PyTorch
WITHOUT, ALONE, NONE = "without {}", "{} alone", "none of them"  # variants of ablation.py
PRESETS = {
    "names-10s": "`names-10s`",
    "names-60s": "`names-60s`",
    "names-600s": "`names-600s`",
    ABLATED: "`names-60s` with AdamW",
    "torch": "the same in PyTorch",
}


def presets_table(quality: dict) -> str:
    """Return a table of the losses and times of each preset."""
    lines = [["", "weights", "seeds", "A", "B", "worst B", "seconds", "with evaluation"]]
    lines.append(["---", *["---:"] * 7])
    for name, title in PRESETS.items():
        found = trainings(quality, name)
        if not found:
            continue
        seconds = [fmean(each[what] for each in found) for what in ("steps_s", "seconds")]
        lines.append([
            title,
            f"{found[0]['params']:,}",
            str(len(found)),
            mean_and_sd([each["val_loss"] for each in found]),
            f"**{mean_and_sd([each['test_loss'] for each in found])}**",
            f"{max(each['test_loss'] for each in found):.3f}",
            *(f"{each:.1f}" for each in seconds),
        ])  # fmt: skip
    return f"{rows(lines)}\n\n{conditions([quality])}"


def ngrams_table(kneser_ney: dict) -> str:
    """Return a table of the losses of n-gram models."""
    lines = [["n", *(str(each["n"]) for each in kneser_ney["orders"])]]
    lines.append(["---", *["---:"] * len(kneser_ney["orders"])])
    for part, what in (("A", "val_loss"), ("B", "test_loss")):
        lines.append([part, *(f"{each[what]:.3f}" for each in kneser_ney["orders"])])
    return rows(lines)


def ablation_table(quality: dict) -> str:
    """Return a table of the effect of each setting, in the preset and alone."""
    lines = [["", "preset without it", "increase", "alone", "decrease", "seeds"]]
    lines.append(["---", *["---:"] * 5])
    preset, none = losses(quality, ABLATED), losses(quality, NONE)
    pairs = {what: (WITHOUT.format(what), ALONE.format(what)) for what in SETTINGS}
    for what, names in {**pairs, "all": (NONE, ABLATED)}.items():
        without, alone = (losses(quality, name) for name in names)
        if without and alone:
            cells = [
                mean_and_sd(without.values()),
                difference(without, preset),
                mean_and_sd([alone[seed] for seed in alone if seed in none]),
                difference(none, alone),
            ]
            lines.append([what, *cells, str(len(without))])
    return f"{rows(lines)}\n\n{conditions([quality])}"


def trainings(quality: dict, name: str) -> list[dict[str, Any]]:
    """Return the training runs with a given name."""
    return [each for each in quality["trainings"] if each["name"] == name]


def losses(quality: dict, name: str) -> dict[int, float]:
    """Return the test losses of the training runs with a given name, by seed."""
    return {each["seed"]: each["test_loss"] for each in trainings(quality, name)}


def difference(losses: dict[int, float], others: dict[int, float]) -> str:
    """Return the mean difference between losses and others, paired by seed, as text."""
    return mean_and_sd([losses[seed] - others[seed] for seed in losses if seed in others], "+")


def mean_and_sd(numbers: Iterable[float], sign: str = "") -> str:
    """Format the mean, and the standard deviation if there are several numbers."""
    numbers = list(numbers)
    if not numbers:
        return ""
    spread = [f"{stdev(numbers):.4f}"] if len(numbers) > 1 else []
    return " ± ".join([f"{fmean(numbers):{sign}.4f}", *spread])


def rows(lines: list[list[str]]) -> str:
    """Format lines of cells as a Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
