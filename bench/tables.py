"""Markdown tables of benchmark results."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, stdev
from typing import Any

from machine import short_name

Rows = list[list[str]]  # each row starts with its label


def table(head: list[str], rows_of: Callable[[dict], Rows], machines: list[dict]) -> str:
    """Return a table with the machines grouped by row label, followed by the conditions."""
    return f"{bare_table(head, rows_of, machines)}\n\n{conditions(machines)}"


def of_machines(head: list[str], rows_of: Callable[[dict], Rows]) -> Callable[..., str]:
    """Return a function that makes the table of the results of all machines."""
    return lambda *machines: table(head, rows_of, [*machines])


def bare_table(head: list[str], rows_of: Callable[[dict], Rows], machines: list[dict]) -> str:
    """Return a table without the conditions of the measurements."""
    lines = [[head[0], "", *head[1:]], ["---"] * (len(head) + 1)]
    by_label: dict[str, list[list[str]]] = {}
    for machine in machines:
        for label, *cells in rows_of(machine):
            same = by_label.setdefault(label, [])
            same.append(["" if same else label, processor(machine), *cells])
    return rows([*lines, *(line for same in by_label.values() for line in same)])


def conditions(machines: list[dict]) -> str:
    """Return the machines, dates and commits of the measurements as text."""
    processors: dict[str, list[str]] = {}
    for machine in machines:
        others = machine["machine"].partition("-bit), ")[2]
        at = f", commit {machine['commit']}" if "commit" in machine else ""
        processors.setdefault(f"{others}; {machine['date']}{at}.", []).append(processor(machine))
    return " ".join(f"{' and '.join(each)}, {others}" for others, each in processors.items())


def processor(machine: dict) -> str:
    """Return the short name of a machine's processor."""
    return short_name(machine["machine"])


def runs_of(kept: dict, name: str) -> list[dict[str, Any]]:
    """Return the training runs with a given name."""
    return [each for each in kept["trainings"] if each["name"] == name]


def losses(kept: dict, name: str) -> dict[int, float]:
    """Return the test losses of the training runs with a given name, by seed."""
    return {each["seed"]: each["test_loss"] for each in runs_of(kept, name)}


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


def headed(head: Sequence[str], lines: Iterable[Sequence[str]], on: dict | None = None) -> str:
    """Return a table whose first column is text and whose others are numbers.

    Args:
        on: the results whose machine and date follow.
    """
    body = rows([head, ["---", *["---:"] * (len(head) - 1)], *lines])
    return f"{body}\n\n{conditions([on])}" if on else body


def rows(lines: Iterable[Sequence[str]]) -> str:
    """Format lines of cells as a Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
