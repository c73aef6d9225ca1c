"""Markdown table for report.py with the results of architecture.py."""

from quality_tables import difference, losses, mean_and_sd, rows
from tables import conditions

DATA = ("names", "German words", "Shakespeare")
SETTINGS = (
    "rotary positions", "token shift", "squared ReLU", "QK norm", "final norm", "out_scale", "Muon",
)  # fmt: skip


def architecture_table(results: dict) -> str:
    """Return a table of the held-out losses, and of the increase without each setting."""
    lines = [["", *DATA], ["---", *["---:"] * len(DATA)]]
    for what in ("all", *(f"without {name}" for name in SETTINGS), "none"):
        cells = []
        for data in DATA:
            everything, found = (losses(results, f"{data}, {name}") for name in ("all", what))
            is_all = what == "all"
            cells.append(mean_and_sd(found.values()) if is_all else difference(found, everything))
        lines.append([what, *cells])
    return f"{rows(lines)}\n\n{conditions([results])}"
