"""Markdown table with the results of search_real.py."""

from quality_tables import mean_and_sd, rows, trainings
from tables import conditions

RIVALS = {
    "preset": "`microgpt train --preset`, with its own budget of a minute",
    "train": "`microgpt train --minutes`",
    "ruled_optuna": "the rule, then Optuna",
    "smac": "SMAC3 (random forest, Hyperband)",
    "winner": "`microgpt evolve --minutes --distill 0`",
    "evolve": "`microgpt evolve --minutes`",
}


def real_table(kept: dict) -> str:
    """Return a table of the test losses of each contender, in bits per character, and its runs."""
    texts = list(dict.fromkeys(each["name"].rpartition(", ")[0] for each in kept["trainings"]))
    lines = [["text, operations", *texts], ["---", *["---:"] * len(texts)]]
    for rival, title in RIVALS.items():
        found = [trainings(kept, f"{text}, {rival}") for text in texts]
        if any(found):
            lines.append([title, *map(_cell, found)])
    return f"{rows(lines)}\n\n{conditions([kept])}"


def _cell(runs: list[dict]) -> str:
    if not runs:
        return "not run"
    return f"{mean_and_sd([run['test_bits'] for run in runs])} ({len(runs)})"
