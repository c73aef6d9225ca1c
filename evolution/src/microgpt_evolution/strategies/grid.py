"""Genomes of a sweep: one of the predefined sets from evolve-rust's scripts, or a grid."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import product
from math import prod
from typing import Any

from microgpt import ConfigError, check_names
from microgpt_evolution.evolution_errors import GenomeError, raised_as
from microgpt_evolution.genome import Genome, check_genes

# A grid cannot vary these settings, which follow from a sweep's seeds, documents or evaluations.
FIXED = {"seed", "text", "shuffle", "vocab_size", "n_tokens", "until", "evaluations"}
SETTINGS = tuple(each.name for each in fields(Genome) if each.name not in FIXED)
STEPS = {  # tests B and A of evolve-rust's run_scaling_tests.sh
    "fibonacci": (1000, 2000, 3000, 5000, 8000, 13_000, 21_000),
    "tripling": (1000, 3000, 9000),
}
SIZES = {  # the three models of evolve-rust's run_param_scaling.sh
    "small": Genome(n_embd=16, n_head=4, n_layer=1, steps=5000),
    "medium": Genome(n_embd=32, n_head=4, n_layer=2, steps=5000),
    "large": Genome(n_embd=64, n_head=8, n_layer=4, steps=5000),
}
MAX_COMBINATIONS = 10_000  # all genomes are created before training; the limit catches typos


def describe(settings: Mapping[str, Any]) -> str:
    """Format settings as names and values, for example "n_layer 1, steps 3,000"."""
    return ", ".join(f"{name} {show(value)}" for name, value in settings.items())


def show(setting: float | str | None) -> str:
    """Format the value of a setting: 3000 as "3,000", True as "true", 1 / 3 as "0.3333"."""
    if isinstance(setting, float):
        return f"{setting:.4g}"
    is_number = isinstance(setting, int) and not isinstance(setting, bool)
    return f"{setting:,}" if is_number else str(setting).lower()


def differing(genomes: Iterable[Genome]) -> list[str]:
    """Return the names of the settings that differ between genomes."""
    distinct, names = set(genomes), [each.name for each in fields(Genome)]
    return [name for name in names if len({getattr(each, name) for each in distinct}) > 1]


def grid(axes: Mapping[str, Sequence[Any]]) -> tuple[list[Genome], list[str]]:
    """Return all valid combinations, and a note for each reason why a combination is invalid.

    The last axis varies fastest. Raise ConfigError if no combination is valid.
    """
    n = prod(map(len, axes.values()))
    if n > MAX_COMBINATIONS:
        raise ConfigError(
            f"a grid has at most {MAX_COMBINATIONS:,} combinations, got {n:,}; use fewer values"
        )
    with raised_as(GenomeError):
        check_names(axes, SETTINGS)
    for name, values in axes.items():
        for value in values:
            check_genes({name: value})  # a value that is invalid by itself is an error
    genomes: dict[Genome, None] = {}
    impossible: dict[str, list[str]] = {}  # invalid combinations, by error message
    for values in product(*axes.values()):
        changes = dict(zip(axes, values, strict=True))
        try:
            genomes[Genome(**changes)] = None
        except GenomeError as error:
            impossible.setdefault(str(error), []).append(describe(changes))
    notes = [
        f"{first}{f' and {len(rest)} more' if rest else ''}: {problem}"
        for problem, (first, *rest) in impossible.items()
    ]
    if not genomes:
        raise ConfigError(f"no combination of the grid is valid: {notes[0]}")
    return list(genomes), notes
