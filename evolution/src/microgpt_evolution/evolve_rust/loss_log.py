"""Log of a loss search, in evolve-rust's format.

evolve-rust's tools parse "--- Generation", rows like "#1: … | Loss: 1.6470 [random]", and "Best:".
Rows of organisms without a fitness contain the status instead of a loss.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from microgpt_evolution.evolve_rust.log import RETESTED, Log, number
from microgpt_evolution.evolve_rust.loss_log_end import end_report, short
from microgpt_evolution.objectives.fitness import describe_losers, target
from microgpt_evolution.population import TOURNAMENT_SIZE, Organism, count_species, monoculture
from microgpt_evolution.search.loss_search import (
    CATACLYSM_AFTER,
    CHAMPIONSHIP_AFTER,
    MIN_FAILURES,
    LossSearch,
    StagnationStage,
    count_immigrants,
)
from microgpt_evolution.search.runner import SearchRunner
from microgpt_evolution.search.selection import Candidate, Winner
from microgpt_evolution.search.settings import SearchSettings


class LossLog(Log):
    """The log of a loss search."""

    heading = ("--- Generation {}/{} ---",)
    _is_reached, _stagnation = False, 0

    def begun(self, run: SearchRunner) -> None:
        """Write the header, with the fitness that is worth a line."""
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

    def ended(
        self, run: SearchRunner, candidates: Sequence[Candidate], winner: Winner | None
    ) -> None:
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
        f"Loss: {_loss(organism)} [{organism.origin}]"
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
    """Return the line that announces a championship or a cataclysm."""
    if stage == "normal":
        return []
    what = "breeding winners with growth" if stage == "championship" else "expanding search space"
    return [f"  *** {stage.upper()}: {stagnation} gens stagnant — {what} ***"]


def _loss(organism: Organism) -> str:
    if organism.has_finished:
        return number(organism.fitness)
    status = organism.evaluation.status if organism.evaluation else "not evaluated"
    return "diverged" if status == "ok" else status
