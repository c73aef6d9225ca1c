"""What a run has come to, as it is told: its generations, its measures, its winner."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from random import Random
from typing import cast

from microgpt_evolution.errors import RunError
from microgpt_evolution.objectives.heads import HEADS, HeadName
from microgpt_evolution.population import Evaluation, Organism, Origin, rank
from microgpt_evolution.runs.evaluation_record import Entry
from microgpt_evolution.runs.recorded_run import RecordedRun, read_recorded
from microgpt_evolution.runs.replay import Generation, Search, replay
from microgpt_evolution.runs.retest_file import RetestFile, read_exam
from microgpt_evolution.runs.run_directory import EVALUATIONS
from microgpt_evolution.search.aesthetic_population import AestheticPopulation
from microgpt_evolution.search.hydra_population import Hydra
from microgpt_evolution.search.loss import POPULATION
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.settings import SearchSettings

JUDGE = "judge"  # the one population of an aesthetic evolution, and what it goes by
LOSSES = {"held-out": "held-out loss", "last-doc": "loss of the last document"}


@dataclass(frozen=True)
class Measure:
    """What a population goes by.

    Attributes:
        name: as it is shown.
        score: a key of `Vote.scores`; None for the fitness of a loss evolution.
    """

    name: str
    score: str | None = None

    @property
    def title(self) -> str:
        """The name, and the unit if there is one."""
        return f"{self.name}, nats a token" if self.is_loss else self.name

    @property
    def is_loss(self) -> bool:
        """Whether less is better."""
        return self.score is None

    def of(self, evaluation: Evaluation) -> float | None:
        """Return the worth of an evaluation; None if it has none."""
        if evaluation.status != "ok":
            return None
        if self.score is None:
            return evaluation.fitness
        return evaluation.vote.scores.get(self.score) if evaluation.vote else None


@dataclass(frozen=True)
class RunSummary:
    """A run.

    Attributes:
        name: what the run is called: its directory, and what tells that from others.
        run: what is on record.
        settings: those of a search of ours; None of one that was imported.
        generations: as far as the search has come.
        exam: what the winner came to, once there is one.
    """

    name: str
    run: RecordedRun
    settings: SearchSettings | None
    generations: Sequence[Generation]
    exam: RetestFile | None

    @property
    def objective(self) -> str:
        """What was searched for; logs are those of loss evolutions."""
        return self.settings.objective if self.settings else "loss"

    @property
    def is_complete(self) -> bool:
        """Whether the winner has been found and examined."""
        return self.exam is not None or self.run.is_imported

    @property
    def last_generation(self) -> int:
        """The number of the last generation; a log may begin anywhere."""
        return max(generation.number for generation in self.generations)

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """What each population goes by, by its name."""
        names = dict.fromkeys(
            name for g in self.generations for name, ranked in g.populations.items() if ranked
        )
        if self.objective == "hydra":
            heads = {name: HEADS[cast(HeadName, name)] for name in names}
            return {n: Measure(f"{head.title}'s score", n) for n, head in heads.items()}
        if self.objective == "aesthetic":
            return {name: Measure("the judge's score", JUDGE) for name in names}
        loss = LOSSES.get(str(self.run.settings.get("fitness")), "loss")
        return {name: Measure(loss) for name in names}

    @property
    def common(self) -> Measure:
        """What all organisms can be compared by: heads have no measure in common but the judge."""
        measures = list(self.measures.values())
        return measures[0] if len(measures) == 1 else Measure("the judge's score", JUDGE)

    @cached_property
    def organisms(self) -> dict[str, tuple[str, Organism]]:
        """Each organism of the run, elites and migrants too, with its population, by its id."""
        return {
            organism.id: (name, organism)
            for generation in self.generations
            for name, ranked in generation.populations.items()
            for organism in ranked
        }

    def knows(self, entry: Entry) -> bool:
        """Return whether the search makes an evaluation: for an organism, or of one again."""
        if entry.origin == "confirm":
            return len(entry.parents) == 1 and entry.parents[0] in self.organisms
        return entry.origin == "primordial" or entry.id in self.organisms

    def population_of(self, entry: Entry) -> str:
        """Return the population that an evaluation was made for."""
        for id_ in (entry.id, *entry.parents):
            if id_ in self.organisms:
                return self.organisms[id_][0]
        return next(iter(self.measures))

    def worth(self, entry: Entry) -> float | None:
        """Return what an evaluation is worth to its population."""
        return self.measures[self.population_of(entry)].of(entry.evaluation)

    @cached_property
    def champions(self) -> dict[str, Organism]:
        """The best organism of each population, the first of equals; the winner where it is one."""
        best: dict[str, Organism] = {}
        for generation in self.generations:
            for name, ranked in generation.populations.items():
                first = next((o for o in ranked if o.has_finished), None)
                if first and (name not in best or first.fitness < best[name].fitness):
                    best[name] = first
        if self.exam and self.exam.id in self.organisms and self.objective != "hydra":
            name, organism = self.organisms[self.exam.id]
            best[name] = organism
        return best

    @property
    def winner(self) -> Organism | None:
        """The organism that has won, or is best so far."""
        if self.exam and self.exam.id in self.organisms:
            return self.organisms[self.exam.id][1]
        return next(iter(self.champions.values()), None)


def read_story(directory: Path, name: str) -> RunSummary:
    """Return what a run has come to.

    Args:
        directory: of the run.
        name: what to call it.

    Raises:
        RunError: there is none, or it is damaged.
    """
    run = read_recorded(directory)
    exam = read_exam(run.directory)
    if run.is_imported:
        return RunSummary(name, run, None, _by_ids(run), exam)
    settings = SearchSettings.of(run)
    known = {(entry.genome, entry.seed): entry.evaluation for entry in run.entries}
    generations = replay(
        _search(settings), settings.n_generations, lambda genome, seed: known.get((genome, seed))
    )
    story = RunSummary(name, run, settings, generations, exam)
    unknown = [entry.id for entry in run.entries if not story.knows(entry)]
    if unknown:
        raise RunError(
            f"{run.directory / EVALUATIONS}: {unknown[0]} is none that this search makes; it was "
            "edited, or written by another version of microgpt"
        )
    if not generations:
        raise RunError(f"{run.directory} has no generation yet; try again in a while")
    return story


def _search(settings: SearchSettings) -> Search:
    """Return a search at its beginning."""
    seed, size, ancestor = settings.seed, settings.population, settings.warm_start
    if settings.objective == "loss":
        assert settings.fitness
        return LossSearch(population=size, fitness=settings.fitness, seed=seed, ancestor=ancestor)
    if settings.objective == "aesthetic":
        rng = Random(seed)
        return AestheticPopulation(
            measure=JUDGE, size=size, run_seed=seed, rng=rng, ancestor=ancestor
        )
    assert settings.exchange
    return Hydra(
        settings.heads, size=size, run_seed=seed, exchange=settings.exchange, ancestor=ancestor
    )


def _by_ids(run: RecordedRun) -> list[Generation]:
    """Return the generations of an imported run, each of whose ids has generation and place."""
    organisms = []
    for entry in run.entries:
        place = re.fullmatch("g([0-9]{1,9})-([0-9]{1,9})", entry.id)
        if place is None:
            raise RunError(
                f"{run.directory / EVALUATIONS}: id {entry.id!r:.40} is no generation and place, "
                "such as g3-1; import the log again"
            )
        origin, evaluation = cast(Origin, entry.origin), entry.evaluation
        generation, slot = int(place[1]), int(place[2])
        organisms.append(Organism(entry.genome, origin, 0, generation, slot, evaluation=evaluation))
    return [
        Generation(number, {POPULATION: rank(list(found))})
        for number, found in groupby(organisms, key=lambda organism: organism.generation)
    ]
