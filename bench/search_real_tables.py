"""Markdown table with the results of search_real.py."""

from quality_tables import mean_and_sd, rows, trainings
from tables import conditions

RIVALS = {
    "train": "`microgpt train --minutes`",
    "optuna": "Optuna (TPE, median pruner)",
    "ruled_optuna": "the rule, then Optuna",
    "smac": "SMAC3 (random forest, Hyperband)",
    "winner": "`microgpt evolve --minutes --distill 0`",
    "evolve": "`microgpt evolve --minutes`",
}


def real_table(kept: dict) -> str:
    """Return a table of the test losses of each contender, in bits per character."""
    texts = list(dict.fromkeys(each["name"].rpartition(", ")[0] for each in kept["trainings"]))
    lines = [["text, operations", *texts], ["---", *["---:"] * len(texts)]]
    for rival, title in RIVALS.items():
        found = [trainings(kept, f"{text}, {rival}") for text in texts]
        lines.append([
            title,
            *(mean_and_sd([each["test_bits"] for each in of]) if of else "" for of in found),
        ])  # fmt: skip
    return f"{rows(lines)}\n\n{conditions([kept])}"
