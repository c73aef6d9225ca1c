"""Lines that describe a search: its generations, its organisms, the retest and the winner."""

from collections.abc import Callable, Sequence

from microgpt_evolution import confidence_interval
from microgpt_evolution.objectives.fitness import target
from microgpt_evolution.objectives.scores import HEADS, first_names
from microgpt_evolution.organism import Evaluation, Organism, diversity
from microgpt_evolution.search.hydra_search import Hydra
from microgpt_evolution.search.retest import N_REPEATS, Candidates, Retest, Winner
from microgpt_evolution.search.search_records import Search, SearchSettings

# These lines come from the founding document of the Hydra.
TITLE = "Hydra Evolution (v3) — {} Heads, {} Cycles, Parallel Execution"
RULE = "━" * 58
MOTTO = '  "We think, therefore we are"'
GATHERING = "  >> The Gathering: Genes exchanged. The organism learns from all heads."


class Log:
    """The log of a search: a line per generation, and the finalists."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def begun(self, settings: SearchSettings, primordial: float | None) -> None:
        """Write the title of the Hydra, or the target of a loss search."""
        if settings.objective == "hydra":
            title = TITLE.format(len(HEADS), settings.generations)
            for line in (title, RULE, MOTTO):
                self._write(line)
        elif settings.fitness:
            goal = settings.space.target if settings.space else None
            if goal is None:
                goal = target(settings.fitness, primordial)
            what = "value" if settings.fitness == "own" else "loss"
            self._write(f"Target: {what} < {round(goal, 4)}")

    def generation_ended(self, search: Search, n: int) -> None:
        """Write the best organism of each population; at the end of a cycle, the champions."""
        for name, population in search.populations.items():
            ranked = population.generations[-1]
            best = ranked[0]
            head = f", {HEADS[name].title}" if name in HEADS else ""  # type: ignore[index]
            facts = [f"best {outcome(best)}", f"diversity {diversity(ranked):.0%}"]
            if population.stagnation is not None:
                facts.append(f"stagnation {population.stagnation}")
            if best.evaluation and best.evaluation.samples:
                facts.append(first_names(best.evaluation.samples))
            where = f"Generation {best.generation}/{n}{head}"
            self._write(f"{where}: {', '.join(facts)} | {genes_of(best)}")
        if isinstance(search, Hydra) and search.has_exchanged:
            self._gathering(search)

    def _gathering(self, search: Hydra) -> None:
        for head, champions in search.met.items():
            if champions:
                genome, score = champions[0].genome, champions[0].worth
                genes = f"Emb:{genome.n_embd} Head:{genome.n_head} Lay:{genome.n_layer}"
                self._write(
                    f"  {f'[{HEADS[head].title}]':8} Champion: {genes} LR:{genome.lr:.4f} -> "
                    f"Score: {score:.2f} ({HEADS[head].quality})"
                )
        self._write(GATHERING)

    def ended(self, search: Search, candidates: Candidates, winner: Winner | None) -> None:
        """Write the finalists with their means over the seeds; `>` marks the winner."""
        if not winner:
            return
        self._write(f"Finalists, trained with {N_REPEATS} more seeds:")
        for candidate in candidates:
            found = candidate.describe(winner.measure)
            if isinstance(search, Hydra):
                means = (f"{HEADS[h].title} {candidate.mean(h):.4f}" for h in search.heads)
                found = ", ".join(means)
            organism = candidate.organism
            mark = ">" if organism is winner.organism else " "
            self._write(f"{mark} {organism.id}: {found} | {genes_of(organism)}")


def describe(organism: Organism) -> str:
    """Return the line for an evaluated organism, with the reason if its training failed."""
    evaluation = organism.evaluation
    assert evaluation
    found = f"{evaluation.status}: {evaluation.reason}"
    if organism.has_finished:
        found = f"{'score' if evaluation.scores else 'loss'} {organism.worth:.4f}"
        if evaluation.seconds:
            found += f" in {evaluation.seconds:.1f} s"
    return f"organism {organism.id}: {found} | {genes_of(organism)}"


def genes_of(organism: Organism) -> str:
    """Return the genome and the origin of an organism."""
    return f"{organism.genome.describe().rstrip()} [{organism.origin}]"


def outcome(organism: Organism) -> str:
    """Return the loss or the score of an organism, or its status if it has none."""
    if organism.has_finished:
        return f"{organism.worth:.4f}"
    status = organism.evaluation.status if organism.evaluation else "not evaluated"
    return "diverged" if status == "ok" else status


def retest_table(found: Evaluation, retest: Retest, settings: SearchSettings) -> list[str]:
    """Return a table of the winner's measurements in the search and in the retest."""
    rows: list[tuple[str, float | None, Sequence[float]]] = [
        ("Last document", found.last_loss, retest.last_losses),
        (f"Held out{settings.mark()}", found.val_loss, retest.val_losses),
        (f"Test{settings.mark('test')}", None, retest.test_losses),
    ]
    if found.scores and retest.scores:
        rows += [
            (f"{measure.title()} (score)", score, [v.scores[measure] for v in retest.scores])
            for measure, score in found.scores.scores.items()
        ]
    width = max(len(name) for name, _, _ in rows)
    return [
        f"  {'Winner':<{width}}  {'Search':>8}  Fresh seeds",
        *(
            f"  {name:<{width}}  {'–' if value is None else f'{value:.4f}':>8}  "
            f"{confidence_interval.describe(again)}"
            for name, value, again in rows
        ),
    ]
