"""A recorded search for reports: what its evaluations measured, and its winner."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from microgpt_evolution.budgeted.budgeted_records import BudgetedRecords, BudgetedSettings
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import BUDGETED_GENES, GENES, PRIMORDIAL, Genome, values_of
from microgpt_evolution.genome_file import GENOME
from microgpt_evolution.objectives.scores import HEADS
from microgpt_evolution.runs.run_directory import BUDGETED, TrialRecord, kind_at
from microgpt_evolution.runs.run_files import EVALUATIONS
from microgpt_evolution.search.aesthetic_search import JUDGE
from microgpt_evolution.search.retest import Retest, read_retest
from microgpt_evolution.search.search_records import Records, SearchSettings
from microgpt_report.setting_names import describe_settings
from microgpt_report.training_runs import labels

RETESTED = "confirm"  # origin of the evaluations of finalists with other seeds, which cannot win


@dataclass(frozen=True)
class Measure:
    """The value by which a population is ranked."""

    name: str
    unit: str = ""
    score: str = ""  # key in `NameScores.scores`; empty for a loss, of which less is better
    retested: str = ""  # field of `Retest` with this loss, if it has one

    @property
    def title(self) -> str:
        """The name with its unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    def of(self, line: TrialRecord) -> float | None:
        """Return the value of an evaluation, or None for a failure."""
        if self.score:
            return line.scores.scores[self.score] if line.scores else None
        return min(line.losses, default=line.fitness) if line.is_ok else None

    def again(self, retest: Retest) -> Sequence[float]:
        """Return the values of the winner in the retest, if they were measured."""
        if self.score:
            return [found.scores[self.score] for found in retest.scores]
        return getattr(retest, self.retested) if self.retested else ()


LOSSES = {
    "held-out": Measure("held-out loss", "nats per token", retested="val_losses"),
    "last-doc": Measure("loss of the last document", "nats per token", retested="last_losses"),
    "own": Measure("own objective"),
}


@dataclass(frozen=True)
class SearchRun:
    """The records of a search, which may still be running."""

    name: str  # shortened but unambiguous path of the run directory
    settings: SearchSettings | BudgetedSettings
    lines: Sequence[TrialRecord]
    retest: Retest | None = None  # a search that has ended has one
    has_ended: bool = False  # also true of a search with a budget that Ctrl-C has ended

    @cached_property
    def measures(self) -> Mapping[str, Measure]:
        """The measure of each population, by its name; a single population has no name."""
        settings = self.settings
        if isinstance(settings, BudgetedSettings):
            return {"": Measure(f"held-out loss{settings.mark()}", "nats per character")}
        if settings.objective == "hydra":
            heads = HEADS.items()
            return {head.title: Measure(f"{head.title} score", score=name) for name, head in heads}
        if settings.objective == "aesthetic":
            return {"": Measure("judge score", score=JUDGE)}
        measure = LOSSES[settings.fitness or "held-out"]
        if measure.retested == "val_losses":
            measure = replace(measure, name=measure.name + settings.mark())
        return {"": measure}

    @property
    def first(self) -> Genome:
        """The genome that the search tries to improve."""
        settings = self.settings
        return settings.first[0] if isinstance(settings, BudgetedSettings) else PRIMORDIAL

    @cached_property
    def size(self) -> int:
        """The maximum number of organisms in a generation of a population."""
        largest = max(place_of(line)[1] for line in self.lines)
        return getattr(self.settings, "population", largest)

    def population_of(self, line: TrialRecord) -> str:
        """Return the population of an evaluation; populations have consecutive slots."""
        names = [*self.measures]
        return names[(place_of(line)[1] - 1) // self.size % len(names)]

    def value_of(self, line: TrialRecord) -> float | None:
        """Return the value of an evaluation by the measure of its population."""
        return self.measures[self.population_of(line)].of(line)

    def ranked(self, population: str) -> list[tuple[TrialRecord, float]]:
        """Return the best evaluation of each organism of a population, best first."""
        found = [
            (line, value)
            for line in self.lines
            if line.origin != RETESTED and self.population_of(line) == population
            if (value := self.value_of(line)) is not None
        ]
        found.sort(key=lambda pair: pair[1], reverse=bool(self.measures[population].score))
        best: dict[str, tuple[TrialRecord, float]] = {}
        for line, value in found:
            best.setdefault(line.id, (line, value))
        return [*best.values()]

    @cached_property
    def winner(self) -> tuple[TrialRecord, float] | None:
        """The winner and its value; until there is one, the best of the first population."""
        ranked = [found for population in self.measures for found in self.ranked(population)]
        won = [found for found in ranked if self.retest and found[0].id == self.retest.id]
        return next(iter([*won, *ranked]), None)

    @cached_property
    def genes(self) -> Sequence[str]:
        """The genes in which the organisms differ, or all of them if none differ."""
        genes = BUDGETED_GENES if isinstance(self.settings, BudgetedSettings) else GENES
        genomes = {line.genome for line in self.lines}
        varied = [gene for gene in genes if len({getattr(each, gene) for each in genomes}) > 1]
        return varied or genes

    def describe(self, genome: Genome) -> str:
        """Return the genes of an organism in words."""
        return describe_settings(values_of(genome, self.genes))


def place_of(line: TrialRecord) -> tuple[int, int]:
    """Return the generation and the slot of an organism, which begin an id such as "g3-5".

    Raises:
        RunError: the id has no such beginning.
    """
    if found := re.match(r"g(\d{1,9})-(\d{1,9})", line.id):
        return int(found[1]), int(found[2])
    raise RunError(
        f"{line.id!r:.40} is no id of an organism, such as g3-5; restore the run's files"
    )


def read_search_run(directory: Path) -> SearchRun:
    """Read a search; raise RunError if it is damaged or has no evaluations yet."""
    records = BudgetedRecords if kind_at(directory) == BUDGETED else Records
    run = records.read(directory)
    if not run.lines:
        raise RunError(f"{run.directory} has no evaluations yet; try again later")
    (name,), retest = labels([directory]), read_retest(run.directory)
    has_ended = retest is not None
    if isinstance(run, BudgetedRecords):
        has_ended = (run.directory / GENOME).exists()
    found = SearchRun(name, run.settings, run.lines, retest, has_ended=has_ended)
    _check_scores(found, run.directory)
    _check_places(run)
    return found


def _check_scores(run: SearchRun, directory: Path) -> None:
    """Raise RunError if a score by which a population is ranked is missing."""
    needed = {measure.score for measure in run.measures.values()} - {""}
    scored = [(line.id, line.scores) for line in run.lines if line.scores]
    scored += [("the retest", scores) for scores in run.retest.scores] if run.retest else []
    for name, scores in scored:
        if missing := sorted(needed - scores.scores.keys()):
            raise RunError(
                f"{directory}: {name!r:.40} lacks the score {missing[0]}; repeat the search"
            )


def _check_places(run: Records | BudgetedRecords) -> None:
    """Raise RunError for an evaluation of an organism that the search does not breed."""
    bred = _bred(run) if isinstance(run, Records) else None
    for line in run.lines:
        place = place_of(line)
        belongs = 0 not in place if bred is None else place in bred
        if not belongs:
            raise RunError(
                f"{run.directory / EVALUATIONS}: {line.id!r:.40} does not belong to this search; "
                "if a line was removed, resume the run; otherwise, another microgpt wrote the file"
            )


def _bred(run: Records) -> set[tuple[int, int]]:
    """Return the places of the organisms up to the first generation that is incomplete."""
    search, places = run.settings.search(), {(0, 0)}  # begins with the default genome
    for _ in range(run.settings.n_generations):
        asked = search.ask()
        places |= {(each.generation, each.slot) for each in search.organisms}
        known = [found for each in asked if (found := run.known(each.trial))]
        if len(known) < len(asked):
            break
        search.tell(known)
    return places
