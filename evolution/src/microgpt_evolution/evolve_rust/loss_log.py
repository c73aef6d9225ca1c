"""The log of a loss evolution while it runs, in evolve-rust's wording.

evolve-rust's tools read "--- Generation", the rows "#1: … | Loss: 1.6470 [random]" and "Best:". The
loss is the fitness of the search. An organism without one shows its status there, so that no tool
takes it for a genome with a loss.
"""

from collections.abc import Sequence

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import Fitness, describe_losers
from microgpt_evolution.population import TOURNAMENT_SIZE, Organism, count_species, monoculture
from microgpt_evolution.search.blacklist import MIN_FAILURES
from microgpt_evolution.search.breeding import count_immigrants
from microgpt_evolution.search.stagnation import (
    CATACLYSM_AFTER,
    CHAMPIONSHIP_AFTER,
    StagnationStage,
)


def header(
    *,
    log: str,
    fitness: Fitness,
    target: float,
    population: int,
    generations: int,
    seed: int,
    ancestor: Genome | None = None,
) -> list[str]:
    """Return the first lines; the ancestor is that of a warm start."""
    return [
        "=== MicroGPT Loss Evolution Engine ===",
        f"Experiment: {log}",
        f"Target: loss < {short(target)}",
        f"Population: {population}, Generations: {generations}",
        f"Selection: tournament(k={TOURNAMENT_SIZE}), "
        f"{count_immigrants(population)} random immigrants/gen",
        f"Stagnation: championship@{CHAMPIONSHIP_AFTER}, cataclysm@{CATACLYSM_AFTER}",
        f"Blacklist: {describe_losers(fitness)} after {MIN_FAILURES} samples",
        f"Fitness: {fitness}, Seed: {seed}",
        *([f"Warm start: {ancestor.describe()}"] if ancestor else []),
        "",
    ]


def generation_start(generation: int, generations: int) -> str:
    """Return the line before a generation is evaluated."""
    return f"--- Generation {generation}/{generations} ---"


def ranking(ranked: Sequence[Organism]) -> list[str]:
    """Return a line for each organism, the best first."""
    return [
        f"{' ' if place > 1 else '>'} #{place}: {organism.genome.describe()} | "
        f"Loss: {_loss(organism)} [{organism.origin}]"
        for place, organism in enumerate(ranked, start=1)
    ]


def target_reached(target: float) -> str:
    """Return the line that follows the ranking of the first generation below the target."""
    return f"  ** Target {short(target)} reached! Continuing to evolve... **"


def summary(
    ranked: Sequence[Organism], *, stagnation: int, n_blacklisted: int, seconds: float
) -> list[str]:
    """Return the last lines of a generation; its worst is the worst that has finished."""
    finished = [organism.fitness for organism in ranked if organism.has_finished]
    best, worst = (finished[0], finished[-1]) if finished else (None, None)
    spread = finished[-1] - finished[0] if finished else None
    facts = [
        f"Best: {number(best)}",
        f"Worst: {number(worst)}",
        f"Spread: {number(spread)}",
        f"Species: {len(count_species(ranked))} ({monoculture(ranked):.0%} largest)",
        f"Stagnation: {stagnation}",
        f"Blacklisted: {n_blacklisted}",
        f"{seconds:.0f}s",
    ]
    return ["  " + " | ".join(facts), ""]


def event(stage: StagnationStage, stagnation: int) -> list[str]:
    """Return the line on how the next generation is bred, if it is not as usual."""
    if stage == "normal":
        return []
    what = {
        "championship": "CHAMPIONSHIP: {} gens stagnant — breeding winners with growth",
        "cataclysm": "CATACLYSM: {} gens stagnant — expanding search space",
    }[stage]
    return [f"  *** {what.format(stagnation)} ***"]


def number(loss: float | None) -> str:
    """Return a loss as the log has it, or "none"."""
    return "none" if loss is None else f"{loss:.4f}"


def short(target: float) -> str:
    """Return a target with no more decimals than it needs, from one to four.

    Example:
        >>> short(1.2), short(2.27136), short(2.0)
        ('1.2', '2.2714', '2.0')
    """
    text = f"{target:.4f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def _loss(organism: Organism) -> str:
    if organism.has_finished:
        return number(organism.fitness)
    status = organism.evaluation.status if organism.evaluation else "not evaluated"
    return "diverged" if status == "ok" else status
