"""Markdown tables of benchmark results."""

from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Any


def headed(head: Sequence[str], lines: Iterable[Sequence[str]], on: dict | None = None) -> str:
    """Return a table of text and numbers, with the machine, date and commit of results."""
    body = rows([head, ["---", *["---:"] * (len(head) - 1)], *lines])
    if not on:
        return body
    commit = f", commit {on['commit']}" if "commit" in on else ""
    return f"{body}\n\n{on['machine']}; {on['date']}{commit}."


def rows(lines: Iterable[Sequence[str]]) -> str:
    """Format lines of cells as a Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def runs_of(kept: dict, name: str) -> list[dict[str, Any]]:
    """Return the training runs with a given name."""
    return [each for each in kept["trainings"] if each["name"] == name]


def mean_and_sd(numbers: Iterable[float]) -> str:
    """Format the mean, and the standard deviation if there are several numbers."""
    numbers = list(numbers)
    if not numbers:
        return ""
    spread = [f"{stdev(numbers):.4f}"] if len(numbers) > 1 else []
    return " ± ".join([f"{fmean(numbers):.4f}", *spread])
