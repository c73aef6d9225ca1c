"""Log of a loss search, in evolve-rust's format.

evolve-rust's tools parse "--- Generation", rows like "#1: … | Loss: 1.6470 [random]", and "Best:".
Rows of organisms without a fitness contain the status instead of a loss.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean
from time import perf_counter

from microgpt_evolution.evolve_rust.log import RETESTED, Log, number, outcome
from microgpt_evolution.objectives.fitness import describe_losers, target
from microgpt_evolution.organism import (
    TOURNAMENT_SIZE,
    Organism,
    count_species,
    diversity,
    monoculture,
    rank,
)
from microgpt_evolution.search.loss_search import (
    CATACLYSM_AFTER,
    CHAMPIONSHIP_AFTER,
    MIN_FAILURES,
    Blacklist,
    LossSearch,
    StagnationStage,
    count_immigrants,
)
from microgpt_evolution.search.retest import Candidates, Winner
from microgpt_evolution.search.runner import SearchRunner
from microgpt_evolution.search.settings import SearchSettings

RULE = "=" * 40
N_LISTED = 10  # maximum number of top configurations and of blacklisted species in the log
WORST_LOSS, BAR_SCALE, LONGEST_BAR = 4.0, 12, 40  # bar length: (4.0 - loss) * 12, at most 40
N_COMPARED = 10  # number of organisms in each of the two groups, best and worst
SMALLEST_DELTA = 0.01  # smaller differences are shown without an arrow
GENES = {
    "n_emb": "Embedding", "n_head": "Heads", "n_layer": "Layers", "n_ctx": "Context",
    "n_ff_exp": "FF Mult", "lr": "Learn Rate", "steps": "Steps",
}  # fmt: skip

Generations = Sequence[Sequence[Organism]]
GeneMeans = Mapping[str, float]


class LossLog(Log):
    """The log of a loss search."""

    heading = ("--- Generation {}/{} ---",)
    _is_reached, _stagnation = False, 0

    def begun(self, run: SearchRunner) -> None:
        """Write the header, with the target fitness."""
        assert isinstance(run.search, LossSearch)
        self._search, space = run.search, run.settings.space
        if space and space.target is not None:
            self._target = space.target
        else:
            assert run.settings.fitness
            primordial = run.primordial.fitness if run.primordial else None
            self._target = target(run.settings.fitness, primordial)
        self._write(*header(run.settings, self._target, run.evaluator.records.log))

    def generation_begun(self, run: SearchRunner) -> None:
        """Write the heading, after a line that announces a championship or a cataclysm."""
        self._write(*event(self._search.stage, self._stagnation))
        super().generation_begun(run)

    def generation_ended(self, run: SearchRunner) -> None:
        """Write the ranking and a summary."""
        search = self._search
        ranked, self._stagnation = search.organisms, search.stagnation
        self._write(*ranking(ranked))
        if ranked[0].fitness < self._target and not self._is_reached:
            self._is_reached = True
            self._write(f"  ** Target {short(self._target)} reached! Continuing to evolve... **")
        n_blacklisted = len(search.blacklist.species)
        self._write(*summary(ranked, search.stagnation, n_blacklisted, self._seconds))

    def ended(self, run: SearchRunner, candidates: Candidates, winner: Winner | None) -> None:
        """Write the report on all generations, and the retest."""
        search, seconds = self._search, perf_counter() - self._started
        self._write(*end_report(search.generations, self._target, search.blacklist, seconds))
        if not candidates:
            return
        self._write("", RETESTED)
        ranked = sorted(candidates, key=lambda candidate: candidate.mean(None))
        for place, candidate in enumerate(ranked, start=1):
            genome, origin = candidate.organism.genome.describe(), candidate.organism.origin
            self._write(f"  {place}. {candidate.describe(None)} | {genome} [{origin}]")


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


def ranking(ranked: Sequence[Organism]) -> list[str]:
    """Return one line per organism, best first."""
    return [
        f"{' ' if place > 1 else '>'} #{place}: {organism.genome.describe()} | "
        f"Loss: {outcome(organism)} [{organism.origin}]"
        for place, organism in enumerate(ranked, start=1)
    ]


def summary(
    ranked: Sequence[Organism], stagnation: int, n_blacklisted: int, seconds: float
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
    """Return the line that announces a championship or a cataclysm; none in normal breeding."""
    if stage == "normal":
        return []
    what = "breeding winners with growth" if stage == "championship" else "expanding search space"
    return [f"  *** {stage.upper()}: {stagnation} gens stagnant — {what} ***"]


def end_report(
    generations: Generations, target: float, blacklist: Blacklist, seconds: float
) -> list[str]:
    """Return the report on a search, given its ranked generations."""
    finished = rank([o for o in chain.from_iterable(generations) if o.has_finished])
    best = finished[0] if finished else None  # the earliest organism wins ties
    lines = [
        RULE,
        "       EVOLUTION COMPLETE",
        RULE,
        f"  Generations: {len(generations)}",
        f"  Total evaluations: {sum(map(len, generations))}",
        f"  Total time: {seconds:.0f}s ({seconds / len(generations):.0f}s/gen avg)",
        f"  Best loss: {number(best.fitness if best else None)}",
        f"  Best config: {best.genome.describe() if best else 'none'}",
        f"  Blacklisted species: {len(blacklist.species)}",
        _target(generations, target),
        "",
        "--- Evolution Trajectory ---",
        f"  {'Gen':>4}  {'Best':>8}  {'Diversity':>9}",
        *map(_trajectory_row, generations),
        "",
        "--- Top Configs Across All Generations ---",
        *_top_configs(finished),
    ]
    if finished:
        top, bottom = gene_means(finished[:N_COMPARED]), gene_means(finished[-N_COMPARED:])
        lines += ["", "--- Hyperparameter Analysis ---", *gene_table(top, bottom)]
        lines += ["", "--- Insights ---", *insights(top, bottom)]
    return lines + _blacklisted(blacklist)


def gene_means(organisms: Sequence[Organism]) -> GeneMeans:
    """Return the mean of each gene over the organisms."""
    return {gene: fmean(getattr(o.genome, gene) for o in organisms) for gene in GENES}


def gene_table(top: GeneMeans, bottom: GeneMeans) -> list[str]:
    """Return a table that compares the gene means of the best and the worst organisms."""
    lines = [f"  {'Param':12} {'Top 10':>10} {'Bottom 10':>10} {'Delta':>10}"]
    for gene, name in GENES.items():
        digits = 4 if gene == "lr" else 1
        delta = top[gene] - bottom[gene]
        arrow = " ^" if delta > 0 else " v"
        lines.append(
            f"  {name:12} {top[gene]:>10.{digits}f} {bottom[gene]:>10.{digits}f} "
            f"{delta:>+9.{digits}f}{arrow if abs(delta) >= SMALLEST_DELTA else '  '}"
        )
    return lines


def insights(top: GeneMeans, bottom: GeneMeans) -> list[str]:
    """Return one line per gene whose mean differs widely between the best and worst organisms."""
    delta = {gene: top[gene] - bottom[gene] for gene in GENES}
    found = []
    if top["n_layer"] > bottom["n_layer"] + 0.3:
        found.append(
            f"Depth matters: top configs avg {top['n_layer']:.1f} layers "
            f"vs {bottom['n_layer']:.1f} in bottom"
        )
    duration = "Training duration: {} steps preferred"
    is_lr_alike = 0.67 * bottom["lr"] <= top["lr"] <= 1.5 * bottom["lr"]
    for gene, is_large, text, more, less in (
        ("n_emb", abs(delta["n_emb"]) > 3, "Embedding size: {} is better", "larger", "smaller"),
        ("steps", abs(delta["steps"]) > 100, duration, "more", "fewer"),
        ("lr", not is_lr_alike, "Learning rate: {} is better", "higher", "lower"),
        ("n_ctx", abs(delta["n_ctx"]) > 2, "Context window: {} preferred", "longer", "shorter"),
    ):
        if is_large:
            digits = 4 if gene == "lr" else 0
            means = f"(top avg {top[gene]:.{digits}f} vs bottom {bottom[gene]:.{digits}f})"
            found.append(f"{text.format(less if delta[gene] < 0 else more)} {means}")
    if not found:
        return ["  No strong hyperparameter trends detected (more generations may help)."]
    return [f"  - {insight}" for insight in found]


def short(target: float) -> str:
    """Format a target with at most four decimal places: '1.2', '2.2714' or '2.0'."""
    return str(round(target, 4))


def _target(generations: Generations, target: float) -> str:
    for ranked in generations:
        if ranked[0].fitness < target:
            return f"  Target {short(target)} first reached: generation {ranked[0].generation}"
    return f"  Target {short(target)} NOT reached"


def _trajectory_row(ranked: Sequence[Organism]) -> str:
    best = ranked[0]
    loss = number(best.fitness if best.has_finished else None)
    length = min(max((WORST_LOSS - best.fitness) * BAR_SCALE, 0), LONGEST_BAR)
    share = 100 * diversity(ranked)
    return f"  {best.generation:>4}  {loss:>8}  {share:>8.0f}%  {'#' * int(length)}"


def _top_configs(finished: Sequence[Organism]) -> list[str]:
    """Return lines with the best organism of each species, best first; at most N_LISTED lines."""
    best_of: dict[str, Organism] = {}
    for organism in finished:
        best_of.setdefault(organism.genome.species, organism)
    return [
        f"  {place:2}. Gen {o.generation} | Loss {o.fitness:.4f} | "
        f"{o.genome.describe()} [{o.origin}]"
        for place, o in enumerate(list(best_of.values())[:N_LISTED], start=1)
    ]


def _blacklisted(blacklist: Blacklist) -> list[str]:
    if not blacklist.species:
        return []
    losers = describe_losers(blacklist.fitness)
    lines = ["", f"--- Blacklisted Species ({losers}, {MIN_FAILURES}+ failures) ---"]
    for species in blacklist.species[:N_LISTED]:
        losses = blacklist.failures[species]
        lines.append(f"  {species} — {len(losses)} failures, avg loss {fmean(losses):.4f}")
    return lines
