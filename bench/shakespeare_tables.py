"""Markdown table for report.py with the results of shakespeare.py."""

from statistics import fmean

from quality_tables import mean_and_sd, rows, trainings
from tables import conditions

PRESET_NAMES = ("text-60s", "shakespeare", "text-300s")


def shakespeare_table(results: dict) -> str:
    """Return a table of the losses of each preset on the last tenth of Shakespeare."""
    lines = [["", "weights", "characters read", "training", "random windows", "sliding windows",
              "seeds", "seconds"]]  # fmt: skip
    lines.append(["---", *["---:"] * 7])
    for name in PRESET_NAMES:
        if found := trainings(results, name):
            lines.append([
                f"`{name}`",
                f"{found[0]['params']:,}",
                f"{found[0]['n_tokens'] / 1e6:.1f} M",
                mean_and_sd([each["train_loss"] for each in found]),
                f"**{mean_and_sd([each['random_windows'] for each in found])}**",
                mean_and_sd([each["sliding_windows"] for each in found]),
                str(len(found)),
                f"{fmean(each['seconds'] for each in found):.0f}",
            ])  # fmt: skip
    return f"{rows(lines)}\n\n{conditions([results])}"
