"""What the log of a loss evolution ends with, as the source writes it.

This module prints nothing, knows no clock, and takes a run as its generations, each ranked.
"""

from collections.abc import Sequence
from itertools import chain
from statistics import fmean

from microgpt_evolution import confidence_interval
from microgpt_evolution.evolve_rust import trends
from microgpt_evolution.evolve_rust.loss_report import number, short
from microgpt_evolution.objectives.fitness import describe_losers
from microgpt_evolution.objectives.retest import Retest
from microgpt_evolution.population import Evaluation, Organism, diversity, rank
from microgpt_evolution.search.blacklist import MIN_FAILURES, Blacklist

RULE = "=" * 40
N_LISTED = 10  # of the top configs, and of the blacklisted species
WORST_LOSS, BAR_SCALE, LONGEST_BAR = 4.0, 12, 40  # of the bars; a loss of 4 has none

Generations = Sequence[Sequence[Organism]]


def find_best(generations: Generations) -> Organism | None:
    """Return the first of the best organisms of a run; None if nothing has finished."""
    return next(iter(_finished(generations)), None)


def end_report(
    generations: Generations,
    *,
    target: float,
    blacklist: Blacklist,
    seconds: float,
) -> list[str]:
    """Return all that is told of the search itself.

    Args:
        generations: those of the run, at least one, each ranked.
        target: the fitness to get below.
        blacklist: as it is at the end.
        seconds: how long the run took.
    """
    finished = _finished(generations)
    lines = [
        *_totals(generations, seconds),
        *_winner(find_best(generations)),
        f"  Blacklisted species: {len(blacklist.species)}",
        _target(generations, target),
        *_trajectory(generations),
        "",
        "--- Top Configs Across All Generations ---",
        *_top_configs(finished),
    ]
    if finished:
        found = trends.Trends(finished)
        lines += ["", "--- Hyperparameter Analysis ---", *trends.table(found)]
        lines += ["", "--- Insights ---", *trends.insights(found)]
    return lines + _blacklisted(blacklist)


def genome_written(path: str, generation: int) -> list[str]:
    """Return what is told once the winner's genome has been written."""
    return [
        "",
        "--- Genome Written ---",
        f"  Saved to {path} (generation {generation})",
        "  The organism has evolved.",
    ]


def demo(names: Sequence[str], last_loss: float) -> list[str]:
    """Return what is told of the winner, once it has been trained again: samples, and its loss."""
    return [
        "",
        "--- Final Demo with Best Config ---",
        *(f"> {name}" for name in names),
        f"Final loss: {last_loss:.4f}",
    ]


def lucky_and_honest(found: Evaluation, exam: Retest) -> list[str]:
    """Return what the search found of its winner beside what that comes to with fresh seeds.

    The last document flatters whoever drew an easy one, and a score whoever said a few beautiful
    names. The test is honest even where the search went by the validation part.

    Args:
        found: what the search measured.
        exam: what came after.
    """
    rows: list[tuple[str, float | None, Sequence[float]]] = [
        ("Last document", found.last_loss, exam.last_losses),
        ("Held out", found.val_loss, exam.val_losses),
        ("Test", None, exam.test_losses),
    ]
    if found.vote and exam.votes:
        rows += [
            (f"{measure.title()} (score)", score, [v.scores[measure] for v in exam.votes])
            for measure, score in found.vote.scores.items()
        ]
    width = max(len(name) for name, _, _ in rows)
    return [
        "",
        "--- Lucky and Honest ---",
        f"  {'':<{width}}  {'Found':>8}  Trained again with fresh seeds",
        *(
            f"  {name:<{width}}  {number(value):>8}  {confidence_interval.describe(again)}"
            for name, value, again in rows
        ),
    ]


def saved(log: str) -> list[str]:
    """Return the end of the log."""
    return ["", f"Experiment saved to: {log}"]


def _finished(generations: Generations) -> list[Organism]:
    """Return what has finished, the best first; of equals the earliest."""
    return rank([o for o in chain.from_iterable(generations) if o.has_finished])


def _totals(generations: Generations, seconds: float) -> list[str]:
    return [
        RULE,
        "       EVOLUTION COMPLETE",
        RULE,
        f"  Generations: {len(generations)}",
        f"  Total evaluations: {sum(map(len, generations))}",
        f"  Total time: {seconds:.0f}s ({seconds / len(generations):.0f}s/gen avg)",
    ]


def _winner(best: Organism | None) -> list[str]:
    if best is None:
        return ["  Best loss: none", "  Best config: none"]
    return [f"  Best loss: {best.fitness:.4f}", f"  Best config: {best.genome.describe()}"]


def _target(generations: Generations, target: float) -> str:
    for ranked in generations:
        if ranked[0].fitness < target:
            reached = f"first reached: generation {ranked[0].generation}"
            return f"  Target {short(target)} {reached}"
    return f"  Target {short(target)} NOT reached"


def _trajectory(generations: Generations) -> list[str]:
    lines = ["", "--- Evolution Trajectory ---", f"  {'Gen':>4}  {'Best':>8}  {'Diversity':>9}"]
    for ranked in generations:
        best = ranked[0]
        loss = number(best.fitness if best.has_finished else None)
        length = min(max((WORST_LOSS - best.fitness) * BAR_SCALE, 0), LONGEST_BAR)
        lines.append(
            f"  {best.generation:>4}  {loss:>8}  {100 * diversity(ranked):>8.0f}%  "
            f"{'#' * int(length)}"
        )
    return lines


def _top_configs(finished: Sequence[Organism]) -> list[str]:
    """Return a line for the best of each of the best species."""
    best_of: dict[str, Organism] = {}
    for organism in finished:
        best_of.setdefault(organism.genome.species, organism)
    return [
        f"  {place:2}. Gen {o.generation} | Loss {o.fitness:.4f} | "
        f"{o.genome.describe()} [{o.origin}]"
        for place, o in enumerate(list(best_of.values())[:N_LISTED], start=1)
    ]


def _blacklisted(blacklist: Blacklist) -> list[str]:
    """Return the section of the species that have failed most often, if there are any."""
    if not blacklist.species:
        return []
    losers = describe_losers(blacklist.fitness)
    lines = ["", f"--- Blacklisted Species ({losers}, {MIN_FAILURES}+ failures) ---"]
    for species in blacklist.species[:N_LISTED]:
        losses = blacklist.failures[species]
        lines.append(f"  {species} — {len(losses)} failures, avg loss {fmean(losses):.4f}")
    return lines
