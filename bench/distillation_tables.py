"""Markdown table with the results of distillation.py."""

from statistics import fmean

from quality_tables import mean_and_sd, rows, trainings
from tables import conditions

N_TEACHERS = 6
TITLES = {
    "teacher": "a teacher (`names-60s`)",
    "mean": f"mean of the predictions of {N_TEACHERS} teachers",
    "student": "a student of them, of a teacher's size",
    "single": "a single model (`names-600s`)",
}


def distillation_table(kept: dict) -> str:
    """Return a table of the losses and the total cost of each kind of model."""
    lines = [["model", "A", "B", "operations in all"], ["---", "---:", "---:", "---:"]]
    found = {name: trainings(kept, name) for name in TITLES}
    for name, title in TITLES.items():
        if not found[name]:
            continue
        val, test, operations = (
            [each[key] for each in found[name]] for key in ("val_loss", "test_loss", "operations")
        )
        cost = f"{fmean(operations):.2g}".replace("e+", "e")
        lines.append([title, mean_and_sd(val), f"**{mean_and_sd(test)}**", cost])
    return f"{rows(lines)}\n\n{conditions([kept])}"
