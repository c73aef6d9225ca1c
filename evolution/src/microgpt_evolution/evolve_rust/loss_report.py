"""What the log of a loss evolution says while it runs, line by line, as the source writes it.

Its tools read "--- Generation", the rows "#1: … | Loss: 1.6470 [random]" and "Best:". `loss` there
is the fitness of the search. What has not finished shows its status instead, so that no tool takes
it for a genome with a loss. This module prints nothing and knows no clock.
"""

from collections.abc import Sequence

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import Fitness, describe_losers
from microgpt_evolution.population import TOURNAMENT_SIZE, Organism, count_species, monoculture
from microgpt_evolution.search.blacklist import MIN_FAILURES
from microgpt_evolution.search.breeding import count_immigrants
from microgpt_evolution.search.stagnation import CATACLYSM_AFTER, CHAMPIONSHIP_AFTER, Rung


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
    """Return what the log begins with.

    Args:
        log: where it is written.
        fitness: the measure of the search.
        target: what it is to get below.
        population: organisms in a generation.
        generations: as many as it runs for.
        seed: of the run.
        ancestor: what the first generation begins with, if not by chance.
    """
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
    """Return the line before a generation is evaluated.

    Example:
        >>> generation_start(1, 10)
        '--- Generation 1/10 ---'
    """
    return f"--- Generation {generation}/{generations} ---"


def ranking(ranked: Sequence[Organism]) -> list[str]:
    """Return a line for each organism, the best first."""
    return [
        f"{' ' if place > 1 else '>'} #{place}: {organism.genome.describe()} | "
        f"Loss: {_loss(organism)} [{organism.origin}]"
        for place, organism in enumerate(ranked, start=1)
    ]


def target_reached(target: float) -> str:
    """Return the line that comes once, between the ranking and the summary."""
    return f"  ** Target {short(target)} reached! Continuing to evolve... **"


def summary(
    ranked: Sequence[Organism], *, stagnation: int, n_blacklisted: int, seconds: float
) -> list[str]:
    """Return what ends a generation: a line, and an empty one.

    Args:
        ranked: its organisms, the best first. Worst and spread are those of what has finished.
        stagnation: the last generations that were no better than the one before.
        n_blacklisted: species on the blacklist.
        seconds: how long it took.
    """
    finished = [organism.fitness for organism in ranked if organism.has_finished]
    best, worst = (finished[0], finished[-1]) if finished else (None, None)
    spread = None if best is None or worst is None else worst - best
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


def event(rung: Rung, stagnation: int) -> list[str]:
    """Return the line that says how the next generation is bred, if it is not as usual."""
    if rung == "normal":
        return []
    what = {
        "championship": "CHAMPIONSHIP: {} gens stagnant — breeding winners with growth",
        "cataclysm": "CATACLYSM: {} gens stagnant — expanding search space",
    }[rung]
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
