"""The trials of a study, ranked by what the study improves: its best ones and its winner."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from microgpt_cli.charts.setting_text import describe_settings
from microgpt_evolution.budgeted.budgeted_settings import STUDENT, BudgetedSettings, BudgetedStudy
from microgpt_evolution.comparison import Mean
from microgpt_evolution.errors import StudyError
from microgpt_evolution.genome import GENES, Genome, values_of
from microgpt_evolution.genome_file import GENOME, read_genome
from microgpt_evolution.objectives.judge import HEADS
from microgpt_evolution.search.search_settings import FRESH, Records, SearchSettings
from microgpt_evolution.strategies.aesthetic import JUDGE
from microgpt_evolution.study import BUDGETED, SWEEP, Kind, Study, StudySettings, kind_at
from microgpt_evolution.sweep.sweep_settings import SweepRecords
from microgpt_evolution.trial import TrialRecord

AGAIN = "confirm"  # origin of trials of finalists with more seeds, which cannot win


@dataclass(frozen=True)
class Measure:
    """The value by which trials are ranked."""

    name: str
    of: Callable[[TrialRecord], float | None]
    unit: str = "nats per token"
    is_score: bool = False  # of which more is better

    @property
    def title(self) -> str:
        """The name with its unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


@dataclass(frozen=True)
class Ranked:
    """An organism of a search, or a configuration of a sweep with its mean over the seeds."""

    record: TrialRecord  # that with the best value
    value: Mean


@dataclass(frozen=True)
class RankedStudy:
    """The records of a study, which may still be running."""

    name: str
    settings: StudySettings
    records: Sequence[TrialRecord]
    fresh: Sequence[TrialRecord] = ()  # those of the winner with fresh seeds; none before the end
    has_ended: bool = False

    @cached_property
    def measures(self) -> Mapping[str, Measure]:
        """The measure of each population, by its name; a single population has no name."""
        settings, loss = self.settings, f"held-out loss{self.settings.mark()}"
        measure = Measure(loss, lambda record: record.val_loss)
        if isinstance(settings, BudgetedSettings):
            unit = "nats per character"
            measure = Measure(loss, lambda record: min(record.losses, default=None), unit)
        elif isinstance(settings, SearchSettings):
            if settings.objective == "hydra":
                return {head.title: _score(key, head.title) for key, head in HEADS.items()}
            if settings.objective == "aesthetic":
                measure = _score(JUDGE, "judge")
            elif settings.fitness == "last-doc":
                measure = Measure("loss of the last document", lambda record: record.last_loss)
            elif settings.fitness == "own":
                measure = Measure("own objective", lambda record: record.value, "")
        return {"": measure}

    @cached_property
    def searched(self) -> list[TrialRecord]:
        """The trials that the strategy has asked for, without those of the winner at the end."""
        return [record for record in self.records if record.origin not in (FRESH, STUDENT)]

    def with_fresh_seeds(self, of: Callable[[TrialRecord], float | None]) -> list[float]:
        """Return what was measured of the winner with fresh seeds."""
        return [value for record in self.fresh if (value := of(record)) is not None]

    @cached_property
    def size(self) -> int:
        """The maximum number of organisms in a generation of a population."""
        largest = max(place_of(record)[1] for record in self.searched)
        return getattr(self.settings, "population", largest)

    def population_of(self, record: TrialRecord) -> str:
        """Return the population of a trial; populations have consecutive slots."""
        names = [*self.measures]
        return names[(place_of(record)[1] - 1) // self.size % len(names)]

    def value_of(self, record: TrialRecord) -> float | None:
        """Return the value of a trial by the measure of its population; None if it has failed."""
        return self.measures[self.population_of(record)].of(record) if record.is_ok else None

    def ranked(self, population: str) -> list[Ranked]:
        """Return the organisms or configurations of a population, best first."""
        sign = -1 if self.measures[population].is_score else 1
        groups: dict[str | Genome, list[tuple[float, TrialRecord]]] = {}
        for record in self.searched:
            is_candidate = self.population_of(record) == population and record.origin != AGAIN
            if is_candidate and (value := self.value_of(record)) is not None:
                groups.setdefault(record.id or record.genome, []).append((value, record))
        found = []
        for group in groups.values():
            value, record = min(group, key=lambda pair: sign * pair[0])
            mean = Mean(value) if record.id else Mean.of([value for value, _ in group])
            found.append(Ranked(record, mean))
        return sorted(found, key=lambda each: sign * each.value.value)

    @cached_property
    def winner(self) -> Ranked | None:
        """The winner; until there is one, the best of the first population."""
        ranked = [each for population in self.measures for each in self.ranked(population)]
        won = [each for each in ranked if self.fresh and each.record.id in self.fresh[0].parents]
        return next(iter([*won, *ranked]), None)

    def first(self, population: str) -> Ranked:
        """Return the first organism, which a search improves, or the worst configuration."""
        return min(self.ranked(population)[::-1], key=lambda each: place_of(each.record))

    @cached_property
    def differing(self) -> list[str]:
        """The settings in which the trials differ, or all genes if none differ."""
        genomes = {record.genome for record in self.records}
        names = [each.name for each in fields(Genome)]
        found = [name for name in names if len({getattr(each, name) for each in genomes}) > 1]
        return found or [*GENES]

    def describe(self, genome: Genome) -> str:
        """Return as text the settings in which the trials differ."""
        return describe_settings(values_of(genome, self.differing))


def _score(key: str, name: str) -> Measure:
    def score(record: TrialRecord) -> float | None:
        return record.scores.scores.get(key) if record.scores else None

    return Measure(f"{name} score", score, "", is_score=True)


def place_of(record: TrialRecord) -> tuple[int, int]:
    """Return the generation and the slot of an organism; 1 and 1 for a trial of a sweep.

    Raises:
        StudyError: an id does not begin with them, such as "g3-5".
    """
    if found := re.match(r"g(\d{1,9})-(\d{1,9})", record.id or "g1-1"):
        return int(found[1]), int(found[2])
    raise StudyError(
        f"{record.id!r:.40} is no id of an organism, such as g3-5; restore the files of the study"
    )


def read_ranked_study(directory: Path) -> RankedStudy:
    """Read a study; raise StudyError if it is damaged or has no results yet."""
    types: Mapping[Kind, type[Study[Any]]] = {SWEEP: SweepRecords, BUDGETED: BudgetedStudy}
    study = types.get(kind_at(directory), Records).read(directory)
    if not study.lines:
        raise StudyError(f"{study.directory} has no results yet; try again later")
    fresh = list[TrialRecord]()
    if isinstance(study, Records) and (study.directory / GENOME).exists():
        fresh = study.fresh(read_genome(study.directory / GENOME).genome)
    return RankedStudy(study.directory.name, study.settings, study.lines, fresh, study.has_ended)
