"""Log lines written during a loss search, in evolve-rust's format.

evolve-rust's tools parse "--- Generation", rows like "#1: … | Loss: 1.6470 [random]", and "Best:".
Rows of organisms without a fitness contain the status instead of a loss.
"""

from collections.abc import Sequence
from pathlib import Path

from microgpt_evolution.objectives.fitness import describe_losers
from microgpt_evolution.population import TOURNAMENT_SIZE, Organism, count_species, monoculture
from microgpt_evolution.search.blacklist import MIN_FAILURES
from microgpt_evolution.search.loss_breeding import count_immigrants
from microgpt_evolution.search.settings import SearchSettings
from microgpt_evolution.search.stagnation import (
    CATACLYSM_AFTER,
    CHAMPIONSHIP_AFTER,
    StagnationStage,
)


def header(settings: SearchSettings, target: float, log: Path) -> list[str]:
    """Return the header lines of the log."""
    assert settings.fitness
    return [
        "=== MicroGPT Loss Evolution Engine ===",
        f"Experiment: {log}",
        f"Target: loss < {short(target)}",
        f"Population: {settings.population}, Generations: {settings.generations}",
        f"Selection: tournament(k={TOURNAMENT_SIZE}), "
        f"{count_immigrants(settings.population)} random immigrants/gen",
        f"Stagnation: championship@{CHAMPIONSHIP_AFTER}, cataclysm@{CATACLYSM_AFTER}",
        f"Blacklist: {describe_losers(settings.fitness)} after {MIN_FAILURES} samples",
        f"Fitness: {settings.fitness}, Seed: {settings.seed}",
        *([f"Warm start: {settings.warm_start.describe()}"] if settings.warm_start else []),
        "",
    ]


def generation_start(generation: int, generations: int) -> str:
    """Return the line logged before a generation is evaluated."""
    return f"--- Generation {generation}/{generations} ---"


def ranking(ranked: Sequence[Organism]) -> list[str]:
    """Return one line per organism, best first."""
    return [
        f"{' ' if place > 1 else '>'} #{place}: {organism.genome.describe()} | "
        f"Loss: {_loss(organism)} [{organism.origin}]"
        for place, organism in enumerate(ranked, start=1)
    ]


def target_reached(target: float) -> str:
    """Return the line logged when a generation beats the target for the first time."""
    return f"  ** Target {short(target)} reached! Continuing to evolve... **"


def summary(
    ranked: Sequence[Organism], *, stagnation: int, n_blacklisted: int, seconds: float
) -> list[str]:
    """Return the summary of a generation; "Worst" refers to the worst finished organism."""
    finished = [organism.fitness for organism in ranked if organism.has_finished]
    facts = [
        f"Best: {number(finished[0] if finished else None)}",
        f"Worst: {number(finished[-1] if finished else None)}",
        f"Spread: {number(finished[-1] - finished[0] if finished else None)}",
        f"Species: {len(count_species(ranked))} ({monoculture(ranked):.0%} largest)",
        f"Stagnation: {stagnation}",
        f"Blacklisted: {n_blacklisted}",
        f"{seconds:.0f}s",
    ]
    return ["  " + " | ".join(facts), ""]


def event(stage: StagnationStage, stagnation: int) -> list[str]:
    """Return the line that announces a championship or a cataclysm."""
    if stage == "normal":
        return []
    what = "breeding winners with growth" if stage == "championship" else "expanding search space"
    return [f"  *** {stage.upper()}: {stagnation} gens stagnant — {what} ***"]


def number(loss: float | None) -> str:
    """Format a loss with four decimal places; None becomes "none"."""
    return "none" if loss is None else f"{loss:.4f}"


def short(target: float) -> str:
    """Format a target with at most four decimal places: '1.2', '2.2714' or '2.0'."""
    return str(round(target, 4))


def _loss(organism: Organism) -> str:
    if organism.has_finished:
        return number(organism.fitness)
    status = organism.evaluation.status if organism.evaluation else "not evaluated"
    return "diverged" if status == "ok" else status
