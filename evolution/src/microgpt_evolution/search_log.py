"""The text log of a search: generations, organisms, finalists and the winner."""

from collections.abc import Callable, Sequence

from microgpt_evolution import confidence_intervals
from microgpt_evolution.objectives.aesthetic_judge import HEADS, first_names
from microgpt_evolution.strategies.hydra import Hydra
from microgpt_evolution.strategies.organism import N_REPEATS, Finalist, Organism
from microgpt_evolution.strategies.population import Population
from microgpt_evolution.study_settings import SearchSettings
from microgpt_evolution.trial import Evaluation

LAST_DOC_TARGET = 1.2  # target of the last-document loss, as in evolve-rust
# Required gain over the primordial genome in nats per token, as held-out losses cannot reach 1.2.
HELD_OUT_GAIN = 0.20
# These lines come from evolve-rust's description of the Hydra.
TITLE = "Hydra Evolution (v3) — {} Heads, {} Cycles, Parallel Execution"
RULE = "━" * 58
MOTTO = '  "We think, therefore we are"'
GATHERING = "  >> The Gathering: Genes exchanged. The organism learns from all heads."


class SearchLog:
    """Writes the log of a search: its target, a line per generation, and the finalists."""

    def __init__(self, write: Callable[[str], None], settings: SearchSettings) -> None:
        self._write, self._settings, self._mark = write, settings, settings.fitness_mark

    def begin(self, primordial: Evaluation | None) -> None:
        """Write the title of a Hydra search, or the target loss of a loss search."""
        if self._settings.objective == "hydra":
            for line in (TITLE.format(len(HEADS), self._settings.generations), RULE, MOTTO):
                self._write(line)
        if self._settings.fitness:  # for "last-doc", `primordial` is None, and the target is fixed
            goal = primordial.fitness - HELD_OUT_GAIN if primordial else LAST_DOC_TARGET
            self._write(f"Target: loss < {round(goal, 4)}{self._mark}")

    def generation(self, search: Population | Hydra, n_generations: int) -> None:
        """Write the best organism of each population and, after an exchange, the champions."""
        for name, population in search.populations.items():
            ranked = population.generations[-1]
            best, n_species = ranked[0], len({each.genome.species for each in ranked})
            head = f", {HEADS[name].title}" if name in HEADS else ""  # type: ignore[index]
            assert best.evaluation
            outcome = f"{best.figure:.4f}{self._mark}"
            if not best.has_finished:
                outcome = best.evaluation.status
            facts = [f"best {outcome}", f"diversity {n_species / len(ranked):.0%}"]
            if population.stagnation is not None:
                facts.append(f"stagnation {population.stagnation}")
            if best.evaluation.samples:
                facts.append(first_names(best.evaluation.samples))
            where = f"Generation {best.generation}/{n_generations}{head}"
            self._write(f"{where}: {', '.join(facts)} | {genes_of(best)}")
        if isinstance(search, Hydra) and search.has_exchanged:
            self._gathering(search)

    def _gathering(self, search: Hydra) -> None:
        for name, head in HEADS.items():
            for champion in search.met[name][:1]:
                genome = champion.genome
                genes = f"Emb:{genome.n_embd} Head:{genome.n_head} Lay:{genome.n_layer}"
                self._write(
                    f"  {f'[{head.title}]':8} Champion: {genes} LR:{genome.lr:.4f} -> "
                    f"Score: {champion.figure:.2f} ({head.quality})"
                )
        self._write(GATHERING)

    def finalists(self, finalists: Sequence[Finalist], winner: Finalist | None) -> None:
        """Write each finalist with its mean over the seeds; `>` marks the winner."""
        self._write(f"Finalists, trained with {N_REPEATS} more seeds:")
        for each in finalists:
            found = confidence_intervals.describe(each.values(self._settings.measure)) + self._mark
            if self._settings.objective == "hydra":
                means = (f"{head.title} {-each.fitness(name):.4f}" for name, head in HEADS.items())
                found = ", ".join(means)
            sign = ">" if each is winner else " "
            self._write(f"{sign} {each.organism.id}: {found} | {genes_of(each.organism)}")


def describe(organism: Organism, mark: str) -> str:
    """Return a line on an evaluated organism: its score, its loss with `mark`, or its failure."""
    evaluation = organism.evaluation
    assert evaluation
    found = f"{evaluation.status}: {evaluation.reason}"
    if organism.has_finished:
        found = f"{'score' if evaluation.scores else 'loss'} {organism.figure:.4f}{mark}"
        if evaluation.seconds:
            found += f" in {evaluation.seconds:.1f} s"
    return f"organism {organism.id}: {found} | {genes_of(organism)}"


def genes_of(organism: Organism) -> str:
    """Format the genome and the origin of an organism."""
    return f"{organism.genome.describe().rstrip()} [{organism.origin}]"


def winner_table(
    found: Evaluation, fresh: Sequence[Evaluation], settings: SearchSettings
) -> list[str]:
    """Return the lines of a table of the winner's results in the search and with fresh seeds."""
    rows: list[tuple[str, float | None, Sequence[float | None]]] = [
        ("Last document", found.last_loss, [each.last_loss for each in fresh]),
        (f"Held out{settings.mark()}", found.val_loss, [each.val_loss for each in fresh]),
        (f"Test{settings.mark('test')}", None, [each.test_loss for each in fresh]),
    ]
    for measure, score in (found.scores or {}).items():
        scores = [each.scores[measure] for each in fresh if each.scores]
        rows.append((f"{measure.title()} (score)", score, scores))
    width = max(len(name) for name, _, _ in rows)
    lines = [f"  {'Winner':<{width}}  {'Search':>8}  Fresh seeds"]
    for name, value, again in rows:
        shown = "–" if value is None else f"{value:.4f}"
        numbers = confidence_intervals.describe([number for number in again if number is not None])
        lines.append(f"  {name:<{width}}  {shown:>8}  {numbers}")
    return lines
