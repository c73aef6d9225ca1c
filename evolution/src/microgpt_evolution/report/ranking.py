"""The trials of a study by organism or genome, best first: means over seeds, and differences."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from microgpt_evolution.comparison import Mean, paired_difference
from microgpt_evolution.errors import StudyError
from microgpt_evolution.genome import GENES, Genome, values_of
from microgpt_evolution.genome_file import GENOME, read_genome
from microgpt_evolution.objectives.fitness import JUDGE
from microgpt_evolution.objectives.judge import HEADS
from microgpt_evolution.strategies.grid import differing
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import BudgetedSettings, SearchSettings, StudySettings
from microgpt_evolution.trial import FRESH, RETEST, STUDENT, TrialRecord


@dataclass(frozen=True)
class Measure:
    """The value by which trials are ranked."""

    name: str
    of: Callable[[TrialRecord], float | None]
    unit: str = "nats per token"
    mark: str = ""  # of values on held-out documents of which some were read in training
    is_score: bool = False  # of which more is better

    @property
    def label(self) -> str:
        """The name with the mark."""
        return f"{self.name}{self.mark}"

    @property
    def title(self) -> str:
        """The label with the unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


HELD_OUT_LOSS = Measure("held-out loss", lambda record: record.val_loss)


@dataclass(frozen=True, eq=False)
class Candidate:
    """An organism of a search or a genome of a sweep, with its finished trials."""

    trials: Mapping[int, tuple[float, TrialRecord]]  # the value and the record of each seed

    @property
    def record(self) -> TrialRecord:
        """The record of the first seed."""
        return next(record for _, record in self.trials.values())

    @property
    def genome(self) -> Genome:
        """The settings of all its trials."""
        return self.record.genome

    @cached_property
    def values(self) -> Mapping[int, float]:
        """The value of each seed."""
        return {seed: value for seed, (value, _) in self.trials.items()}

    @cached_property
    def mean(self) -> Mean:
        """The mean of the values over the seeds."""
        return Mean.of([*self.values.values()])

    def mean_of(self, name: str) -> Mean:
        """Return the mean of another number of the records."""
        return Mean.of([getattr(record, name) for _, record in self.trials.values()])

    def above(self, other: Self) -> Mean:
        """Return by how much the values exceed those of another candidate, paired by seed."""
        return paired_difference(self.values, other.values)


@dataclass(frozen=True)
class Ranking:
    """The trials of a sweep, or those that a search has asked for in one of its populations."""

    measure: Measure
    records: Sequence[TrialRecord]
    name: str = ""  # of the population, if there are several

    @cached_property
    def measured(self) -> list[tuple[float, TrialRecord]]:
        """The values and the records of the finished trials."""
        pairs = ((self.measure.of(record), record) for record in self.records if record.is_ok)
        return [(value, record) for value, record in pairs if value is not None]

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The candidates with a value, best first; those that lack seeds come last."""
        groups: dict[str | Genome, dict[int, tuple[float, TrialRecord]]] = {}
        # Rungs of a training run have the same seed; the one with the lowest loss remains.
        for value, record in sorted(self.measured, key=lambda pair: (pair[1].seed, -pair[0])):
            if record.origin != RETEST:
                groups.setdefault(record.id or record.genome, {})[record.seed] = value, record
        found = [*map(Candidate, groups.values())]
        found.sort(key=lambda each: each.mean.value, reverse=self.measure.is_score)
        return sorted(found, key=lambda each: -len(each.trials))

    @cached_property
    def slots(self) -> Sequence[int]:
        """The slots of its organisms in a generation."""
        slots = {record.slot for record in self.records}
        return range(min(slots), max(slots) + 1)

    @property
    def first(self) -> Candidate:
        """The first organism, which a search improves."""
        return min(self.candidates, key=lambda each: (each.record.generation, each.record.slot))


@dataclass(frozen=True)
class RankedStudy:
    """The records of a study, which may still be running."""

    name: str
    settings: StudySettings
    records: Sequence[TrialRecord]
    fresh: Sequence[TrialRecord] = ()  # those of the winner with fresh seeds; none before the end

    @cached_property
    def rankings(self) -> list[Ranking]:
        """The ranking of each population."""
        settings = self.settings
        searched = [record for record in self.records if record.origin not in (FRESH, STUDENT)]
        measure = replace(HELD_OUT_LOSS, mark=settings.mark())
        if isinstance(settings, BudgetedSettings):
            measure = replace(measure, of=_lowest_loss, unit="nats per character")
        elif isinstance(settings, SearchSettings):
            if settings.objective == "hydra":
                return _rankings_of_heads(searched, settings.population)
            if settings.objective == "aesthetic":
                measure = _score(JUDGE, "judge")
            elif settings.fitness == "last-doc":
                measure = Measure("loss of the last document", lambda record: record.last_loss)
            elif settings.fitness == "own":
                measure = Measure("own objective", lambda record: record.value, "")
        return [Ranking(measure, searched)]

    @cached_property
    def winner(self) -> tuple[Ranking, Candidate] | None:
        """The winner, in its ranking; until there is one, the best of the first population."""
        all = [(ranking, each) for ranking in self.rankings for each in ranking.candidates]
        won = [pair for pair in all if self.fresh and pair[1].record.id in self.fresh[0].parents]
        return next(iter([*won, *all]), None)

    @cached_property
    def differing(self) -> list[str]:
        """The settings in which the trials differ, or all genes if none differ."""
        return differing(record.genome for record in self.records) or [*GENES]

    def describe(self, genome: Genome) -> str:
        """Return as text the settings in which the trials differ."""
        return describe_settings(values_of(genome, self.differing))


def _lowest_loss(record: TrialRecord) -> float | None:
    return min(record.losses, default=None)


def _score(key: str, name: str) -> Measure:
    def score(record: TrialRecord) -> float | None:
        return record.scores.scores.get(key) if record.scores else None

    return Measure(f"{name} score", score, "", is_score=True)


def _rankings_of_heads(records: Sequence[TrialRecord], size: int) -> list[Ranking]:
    """Return the ranking of each head of the Hydra; their organisms have consecutive slots."""
    members: list[list[TrialRecord]] = [[] for _ in HEADS]
    for record in records:
        members[(record.slot - 1) // size % len(HEADS)].append(record)
    heads = zip(HEADS.items(), members, strict=True)
    return [Ranking(_score(key, head.title), mine, head.title) for (key, head), mine in heads]


def read_ranked_study(directory: Path) -> RankedStudy:
    """Read a study; raise StudyError if it is damaged or has no results yet."""
    study = Study.read(directory, StudySettings)
    records, fresh = study.records, list[TrialRecord]()
    if not records:
        raise StudyError(f"{study.directory} has no results yet; try again later")
    if (study.directory / GENOME).exists():
        winner = read_genome(study.directory / GENOME).genome
        fresh = [each for each in records if each.origin == FRESH and each.genome == winner]
    return RankedStudy(study.directory.name, study.settings, records, fresh)


def describe_settings(settings: Mapping[str, object]) -> str:
    """Format settings, such as "n_embd 16, lr 0.01"."""
    return ", ".join(f"{name} {_value_text(value)}" for name, value in settings.items())


def _value_text(value: object) -> str:
    """Format the value of a setting: thousands separators, four digits, and "on" or "off"."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else "none" if value is None else str(value)
