"""Trace of a search on stderr, in evolve-rust's format."""

from collections import Counter
from collections.abc import Sequence

from microgpt_evolution.population import Organism, Provenance
from microgpt_evolution.search.stagnation import StagnationStage


def evaluating(population: Sequence[Organism]) -> str:
    """Return the line printed before a generation is evaluated."""
    return f"[gen {population[0].generation}] evaluating {len(population)} organisms..."


def descended(population: Sequence[Organism]) -> str:
    """Return the line that lists the origins of the first generation after a warm start."""
    n = Counter(organism.origin for organism in population)
    return (
        f"[breed] first gen: {n['genome']} genome + {n['mutant']} mutants + "
        f"{n['random']} randoms = {len(population)}"
    )


def started(organism: Organism) -> str:
    """Return the line for the start of an evaluation, or for an organism already evaluated."""
    name = f"[eval] organism {organism.slot}"
    if organism.evaluation:
        return f"{name} already evaluated ({_worth(organism)})"
    return f"{name} starting: {organism.genome.describe()}"


def done(organism: Organism, seconds: float, reason: str = "") -> str:
    """Return the line for the end of an evaluation, with the reason if it failed."""
    name = f"[eval] organism {organism.slot}"
    if organism.has_finished:
        return f"{name} done: {_worth(organism)} ({seconds:.1f}s)"
    status = organism.evaluation.status if organism.evaluation else "crashed"
    what = "PANICKED" if status == "crashed" else status.upper()  # evolve-rust's term for a crash
    return f"{name} {what}: {reason} | config: {organism.genome.describe()}"


def bred(
    stage: StagnationStage,
    ranked: Sequence[Organism],
    population: Sequence[Organism],
    n_blacklisted: int,
) -> list[str]:
    """Return the lines for a newly bred generation."""
    places = {organism.id: place for place, organism in enumerate(ranked, start=1)}
    titles = {"elite": "kept elite", "re-eval": "elite forced re-eval", "grown": "growth mutation"}
    lines = []
    n: Counter[Provenance] = Counter()
    for organism in population:
        n[organism.origin] += 1
        genome = organism.genome.describe()
        if organism.origin in titles:
            lines.append(f"[breed] {titles[organism.origin]}: {genome}")
        elif organism.origin == "champion":
            a, b = (places[parent] for parent in organism.parents)
            lines.append(f"[breed] champion cross: #{a} x #{b}")
        elif organism.origin == "immigrant":
            lines.append(f"[breed] immigrant {n['immigrant']}: {genome}")
    match stage:
        case "normal":
            heading = "breeding next generation..."
            counts = (
                f"next gen: {n['elite']} elite + {n['immigrant']} immigrants + {n['cross']} "
                f"crossover + {n['mutant']} mutants + {n['hyper']} hypermutants = {n.total()}"
            )
        case "championship":
            heading = "CHAMPIONSHIP breeding triggered"
            counts = (
                f"championship: {n['re-eval']} re-eval + {n['grown']} grown + {n['champion']} "
                f"champions + {n['tuned']} tuned + {n['immigrant']} immigrant = {n.total()}"
            )
        case "cataclysm":
            heading = "CATACLYSM triggered"
            counts = (
                f"cataclysm: {n['re-eval']} re-eval + {n['cataclysm']} wide randoms "
                f"(avoiding {n_blacklisted} blacklisted species)"
            )
    return [f"[gen {ranked[0].generation}] {heading}", *lines, f"[breed] {counts}"]


def _worth(organism: Organism) -> str:
    has_score = organism.evaluation and organism.evaluation.scores
    return f"{'score' if has_score else 'loss'}={organism.worth:.4f}"
