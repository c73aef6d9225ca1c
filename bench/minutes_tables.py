"""Markdown tables with the results of minutes.py and experience.py."""

import math
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from quality_tables import mean_and_sd, rows, trainings
from stages import VARIATIONS
from tables import conditions

RIVALS = ("rule", "preset", "nanoGPT")
TEXTS = ("names", "shakespeare", "german words", "towns", "technical prose", "french words")
BUDGETS = (*((text, 60) for text in TEXTS), ("technical prose", 300))  # in seconds
N_RANDOM = {60: 20, 300: 24}  # number of random settings
WORDS = {
    "weight_decay": "weight decay",
    "lr": "learning rate",
    "n_tokens": "tokens per step",
    "n_embd": "width",
    "n_layer": "layers",
    "vocab_size": "subwords",
    "block_size": "context",
    "average_tail": "averaged share of the steps",
    "dropout": "dropout",
}


def minutes_table(kept: dict, experience: list[dict[str, Any]]) -> str:
    """Return a table of the test losses of each contender, in bits per character."""
    lines = [["text", "seconds", "`--minutes`", "best of random", "ratio", "median of random",
              "preset", "nanoGPT"]]  # fmt: skip
    lines.append(["---", *["---:"] * 7])
    for text, seconds in BUDGETS:
        rule, preset, nanogpt = (
            [each["test_bits"] for each in trainings(kept, f"{text}, {seconds} s, {rival}")]
            for rival in RIVALS
        )
        key = {"text": text, "seconds": seconds, "how": "random", "share": 1}
        random = [
            result
            for result in experience
            if key.items() <= result.items() and result["seed"] < N_RANDOM[seconds]
        ]
        finished = [result for result in random if result["val_bits"] is not None]
        if len(random) < N_RANDOM[seconds] or not rule:
            continue
        best = min(finished, key=lambda result: result["val_bits"])["test_bits"]
        lines.append([
            text,
            str(seconds),
            f"**{mean_and_sd(rule)}**",
            f"{best:.4f}",
            f"**{fmean(rule) / best:.3f}**",
            f"{median(result['test_bits'] for result in finished):.4f}",
            mean_and_sd(preset) if preset else "",
            mean_and_sd(nanogpt) if nanogpt else "",
        ])  # fmt: skip
    return f"{rows(lines)}\n\n{conditions([kept])}"


def intervals_table(kept: dict) -> str:
    """Return a table of the expected validation losses and of those of the trainings."""
    lines = [["text", "seconds", "expected", "trainings", "within"], ["---", *["---:"] * 4]]
    for text, seconds in BUDGETS:
        found = trainings(kept, f"{text}, {seconds} s, rule")
        if found:
            low, high = found[0]["interval"]
            losses = [each["val_bits"] for each in found]
            n_within = sum(low <= loss <= high for loss in losses)
            lines.append([
                text, str(seconds), f"{low:.3f} to {high:.3f}", mean_and_sd(losses),
                f"{n_within} of {len(losses)}",
            ])  # fmt: skip
    return rows(lines)


def variations_table(trained: Sequence[dict[str, Any]], seconds: int) -> str:
    """Return a table of the change of the validation loss by each variation, in percent."""
    varied = [each for each in trained if (each["how"], each["seconds"]) == ("varied", seconds)]
    losses = {(each["text"], each["seed"]): each["val_bits"] for each in varied}
    texts = VARIATIONS[seconds].texts
    lines = [[f"{seconds} s", *texts], ["---", *["---:"] * len(texts)]]
    for number, change in enumerate(VARIATIONS[seconds].changes):
        what = ", ".join(
            "characters" if value is None else f"{WORDS[name]} {value}"
            for name, value in change.items()
        )
        found = [losses.get((text, number)) for text in texts]
        if number == 0:
            what = "bits per character"
            cells = ["" if each is None else f"{each:.3f}" for each in found]
        else:
            changes = [
                100 * (loss / losses[text, 0] - 1) if loss and (text, 0) in losses else None
                for text, loss in zip(texts, found, strict=True)
            ]
            cells = ["" if each is None else f"{each:+.1f} %" for each in changes]
        lines.append([what, *cells])
    return rows(lines)


def variations_tables(experience: Sequence[dict[str, Any]]) -> str:
    """Return the tables of `variations_table` for all budgets."""
    trained = [each for each in experience if each["val_bits"]]
    varied = {each["seconds"] for each in trained if each["how"] == "varied"}
    return "\n\n".join(
        variations_table(trained, seconds) for seconds in VARIATIONS if seconds in varied
    )


def surface_table(choice: dict[str, Any]) -> str:
    """Return a table of the optimum of the response surface by budget."""
    lines = [["seconds", "width", "layers", "tokens per step", "learning rate"]]
    lines.append(["---:"] * 5)
    for each in choice["surface"]["optima"]:
        lines.append([
            str(each["seconds"]), f"{each['width']:.0f}", f"{each['layers']:.1f}",
            f"{each['tokens']:,.0f}", f"{each['lr']:.4f}",
        ])  # fmt: skip
    n, error = choice["surface"]["n_trainings"], 100 * choice["surface"]["median_error"]
    return f"{rows(lines)}\n\n{n} trainings whose loss did not rise; median error {error:.1f} %."


def law_text(choice: dict[str, Any]) -> str:
    """Return the law of the expected loss as text."""
    law = choice["law"]
    factors = law["coefficients"]
    return (
        f"bits = {math.exp(factors['constant']):.3f} · (n-gram bits)^{factors['ngram_bits']:.3f} · "
        f"(operations / 10¹³)^{factors['operations']:.3f} · "
        f"(characters / 10⁶)^{factors['characters']:.3f}\n\n"
        f"{law['n_trainings']} trainings. The error for a text that is left out has a standard "
        f"deviation of {100 * law['error']:.1f} %; the largest: {100 * law['largest_error']:.0f} %."
    )
