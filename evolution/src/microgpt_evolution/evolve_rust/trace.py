"""Trace of a search on stderr, in evolve-rust's format."""

from collections import Counter
from collections.abc import Callable, Sequence

from microgpt_evolution.organism import Organism
from microgpt_evolution.search.loss_search import LossSearch, StagnationStage
from microgpt_evolution.search.runner import Listener, SearchRunner

TITLES = {"elite": "kept elite", "re-eval": "elite forced re-eval", "grown": "growth mutation"}


class Trace(Listener):
    """The trace: one line per organism; in a loss search, also how it was bred."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def begun(self, run: SearchRunner) -> None:
        """Write the origins of the first generation after a warm start."""
        if run.settings.warm_start and isinstance(run.search, LossSearch):
            organisms = run.search.organisms
            n = Counter(organism.origin for organism in organisms)
            self._write(
                f"[breed] first gen: {n['genome']} genome + {n['mutant']} mutants + "
                f"{n['random']} randoms = {len(organisms)}"
            )

    def generation_begun(self, run: SearchRunner) -> None:
        """Write the number of organisms; in a loss search, also their genomes."""
        search, organisms = run.search, run.search.organisms
        lines = [f"[gen {search.generation}] evaluating {len(organisms)} organisms..."]
        if isinstance(search, LossSearch):
            if search.generations:
                n, ranked = len(search.blacklist.species), search.generations[-1]
                lines = [*bred(search.stage, ranked, organisms, n), *lines]
            lines += map(started, organisms)
        for line in lines:
            self._write(line)

    def evaluated(self, run: SearchRunner, organism: Organism) -> None:
        """Write the fitness of an organism, or the reason why it has none."""
        self._write(done(organism))


def started(organism: Organism) -> str:
    """Return the line for the start of an evaluation, or for an organism already evaluated."""
    name = f"[eval] organism {organism.slot}"
    if organism.evaluation:
        return f"{name} already evaluated ({_worth(organism)})"
    return f"{name} starting: {organism.genome.describe()}"


def done(organism: Organism) -> str:
    """Return the line for the end of an evaluation, with the reason if it failed."""
    evaluation = organism.evaluation
    assert evaluation
    name = f"[eval] organism {organism.slot}"
    if organism.has_finished:
        return f"{name} done: {_worth(organism)} ({evaluation.seconds:.1f}s)"
    status = evaluation.status
    what = "PANICKED" if status == "crashed" else status.upper()  # evolve-rust's term for a crash
    return f"{name} {what}: {evaluation.reason} | config: {organism.genome.describe()}"


def bred(
    stage: StagnationStage,
    ranked: Sequence[Organism],
    population: Sequence[Organism],
    n_blacklisted: int,
) -> list[str]:
    """Return the lines for a newly bred generation."""
    places = {organism.id: place for place, organism in enumerate(ranked, start=1)}
    lines = []
    n: Counter[str] = Counter()
    for organism in population:
        n[organism.origin] += 1
        genome = organism.genome.describe()
        if organism.origin in TITLES:
            lines.append(f"[breed] {TITLES[organism.origin]}: {genome}")
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
