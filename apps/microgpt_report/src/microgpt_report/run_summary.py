"""Summary of a search for reports: generations, measures, champions and winner."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.scores import HEADS
from microgpt_evolution.organism import Evaluation, Organism
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_evolution.runs.run_files import EVALUATIONS
from microgpt_evolution.search.aesthetic_search import JUDGE
from microgpt_evolution.search.records import Generation, Records, replay
from microgpt_evolution.search.retest import Retest
from microgpt_evolution.search.settings import SearchSettings

LOSSES = {
    "held-out": "held-out loss", "last-doc": "loss of the last document", "own": "own objective",
}  # fmt: skip
CONFIRM, PRIMORDIAL = "confirm", "primordial"  # origins of evaluations outside the population


@dataclass(frozen=True)
class Measure:
    """The value by which a population is ranked."""

    name: str
    score: str | None = None  # key in `NameScores.scores`; None for a loss, which is the fitness

    @property
    def title(self) -> str:
        """The name of the measure, with the unit for a loss."""
        return f"{self.name}, nats per token" if self.is_loss else self.name

    @property
    def is_loss(self) -> bool:
        """Whether the measure is a loss, so that lower is better."""
        return self.score is None

    def of(self, evaluation: Evaluation) -> float | None:
        """Return the value of an evaluation, or None for a failure or a missing score."""
        if evaluation.status != "ok":
            return None
        if self.score is None:
            return evaluation.fitness
        return evaluation.scores.scores.get(self.score) if evaluation.scores else None


@dataclass(frozen=True)
class RunSummary:
    """The records of a search, and the generations reconstructed from these records."""

    name: str  # shortened but unambiguous path of the run directory
    run: Records
    generations: Sequence[Generation]  # all generations recorded so far
    retest: Retest | None  # retest of the winner; None until the search has ended

    @property
    def settings(self) -> SearchSettings:
        """The settings of the search."""
        return self.run.settings

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """The measure of each population, by population name."""
        names = dict.fromkeys(
            name for g in self.generations for name, ranked in g.items() if ranked
        )
        if self.settings.objective == "hydra":
            return {name: Measure(f"{title_of(name)} score", name) for name in names}
        if self.settings.objective == "aesthetic":
            return {name: Measure("judge score", JUDGE) for name in names}
        loss = LOSSES[self.settings.fitness or "held-out"]
        return {name: Measure(loss) for name in names}

    @property
    def is_for_loss(self) -> bool:
        """Whether the search is for a low loss rather than for a high score."""
        return self.settings.objective == "loss"

    @cached_property
    def organisms(self) -> dict[str, tuple[str, Organism]]:
        """Map from organism ID to (population name, organism), including elites and migrants."""
        return {
            organism.id: (name, organism)
            for generation in self.generations
            for name, ranked in generation.items()
            for organism in ranked
        }

    def knows(self, entry: TrialRecord) -> bool:
        """Return whether an evaluation belongs to the search or to its retest."""
        if entry.origin == CONFIRM:
            return len(entry.parents) == 1 and entry.parents[0] in self.organisms
        return entry.origin == PRIMORDIAL or entry.id in self.organisms

    def place_of(self, entry: TrialRecord) -> tuple[str, Organism | None]:
        """Return the population of an evaluation, and the organism that was (re)tested, if any."""
        ids = [id_ for id_ in (entry.id, *entry.parents) if id_ in self.organisms]
        return self.organisms[ids[0]] if ids else (next(iter(self.measures)), None)

    def worth(self, entry: TrialRecord) -> float | None:
        """Return the value of the population's measure for an evaluation."""
        return self.measures[self.place_of(entry)[0]].of(entry.evaluation)

    def cost(self, entry: TrialRecord) -> float:
        """Return the loss, or the negative score; infinity if the evaluation failed."""
        worth, measure = self.worth(entry), self.measures[self.place_of(entry)[0]]
        return math.inf if worth is None else worth if measure.is_loss else -worth

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters."""
        return genome.n_params(self.settings.vocab_size)

    @cached_property
    def pareto_front(self) -> set[str]:
        """The ids of all evaluations on the Pareto front of any population."""
        front, best = set(), dict.fromkeys(self.measures, math.inf)
        bred = [entry for entry in self.run.lines if entry.origin not in (CONFIRM, PRIMORDIAL)]
        sized = [(self.n_params(e.genome), self.cost(e), e.id, self.place_of(e)[0]) for e in bred]
        for _, cost, id_, population in sorted(sized):
            if cost < best[population]:
                best[population] = cost
                front.add(id_)
        return front

    @cached_property
    def champions(self) -> dict[str, Organism]:
        """The best finished organism per population; the winner, if known, takes precedence."""
        best: dict[str, Organism] = {}
        for name, found in self.organisms.values():
            if found.has_finished and (name not in best or found.fitness < best[name].fitness):
                best[name] = found
        is_hydra = self.settings.objective == "hydra"
        if self.retest and self.retest.id in self.organisms and not is_hydra:
            name, organism = self.organisms[self.retest.id]
            best[name] = organism
        return best

    @property
    def winner(self) -> Organism | None:
        """The winner of the search, or the best organism so far if there is no winner yet."""
        if self.retest and self.retest.id in self.organisms:
            return self.organisms[self.retest.id][1]
        return next(iter(self.champions.values()), None)


def title_of(population: str) -> str:
    """Return the title of a Hydra head, or an empty string for other populations."""
    return HEADS[population].title if population in HEADS else ""  # type: ignore[index]


def summarise(run: Records, name: str, retest: Retest | None = None) -> RunSummary:
    """Return the summary of a run; raise RunError if the run is damaged or has no generations."""
    settings = run.settings
    known = {(line.genome, line.seed): line.evaluation for line in run.lines}
    generations = replay(settings.search(), settings.n_generations, known)
    summary = RunSummary(name, run, generations, retest)
    if unknown := [line.id for line in run.lines if not summary.knows(line)]:
        raise RunError(
            f"{run.directory / EVALUATIONS}: {unknown[0]} does not belong to this search; if "
            "a line was removed, resume the run; otherwise, a different version of "
            "microgpt wrote the file"
        )
    if not generations:
        raise RunError(f"{run.directory} has no generations yet; try again later")
    return summary
