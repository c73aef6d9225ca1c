"""The trials of a study, best first: means over seeds, and differences."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from operator import itemgetter
from pathlib import Path
from typing import Self

from microgpt_evolution.comparison import Mean, paired_difference
from microgpt_evolution.errors import StudyError
from microgpt_evolution.genome import GENES, Genome, values_of
from microgpt_evolution.genome_file import GENOME, read_genome
from microgpt_evolution.strategies.grid import describe, differing
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import BudgetedSettings, SearchSettings, StudySettings
from microgpt_evolution.trial import FRESH, RETEST, STUDENT, TrialRecord

TESTED = "tested"  # origin of a record with the test loss of the model that a search keeps
AFTERWARDS = (RETEST, FRESH, STUDENT)  # origins of trials that cannot win


@dataclass(frozen=True)
class Measure:
    """The value by which trials are ranked."""

    label: str  # with a mark if some of the held-out documents were read in training
    of: Callable[[TrialRecord], float | None]
    unit: str = ""
    is_score: bool = False  # of which more is better

    @property
    def title(self) -> str:
        """The label as a heading, such as "Held-out loss"."""
        return f"{self.label[0].upper()}{self.label[1:]}"

    @property
    def axis(self) -> str:
        """The label and the unit, as the title of an axis."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


@dataclass(frozen=True, eq=False)
class Candidate:
    """An organism of a search or a genome of a sweep, with its finished trials."""

    records: dict[int, TrialRecord]  # by seed
    values: dict[int, float]  # by seed

    @property
    def record(self) -> TrialRecord:
        """The record of the first seed."""
        return next(iter(self.records.values()))

    @property
    def genome(self) -> Genome:
        """The settings of all its trials."""
        return self.record.genome

    @cached_property
    def mean(self) -> Mean:
        """The mean of the values over the seeds."""
        return Mean.of([*self.values.values()])

    def above(self, other: Self) -> Mean:
        """Return by how much the values exceed those of another candidate, paired by seed."""
        return paired_difference(self.values, other.values)


@dataclass(frozen=True)
class Ranking:
    """The trials of a study, which may still be running, or of sweeps on the same documents."""

    settings: StudySettings
    records: Sequence[TrialRecord]
    fresh: Sequence[TrialRecord] = ()  # those of the winner with fresh seeds; none before the end
    name: str = ""  # of the study

    @cached_property
    def measure(self) -> Measure:
        """The value that decides, or with which the winner of a Hydra is reported."""
        settings, label = self.settings, f"held-out loss{self.settings.mark()}"
        if settings.has_function:
            return Measure("own objective", lambda r: r.value)
        if isinstance(settings, BudgetedSettings):
            return Measure(label, lambda r: min(r.losses, default=None), "nats per character")
        if isinstance(settings, SearchSettings) and (key := settings.measure):
            return Measure(f"{key} score", partial(_score, key), is_score=True)
        if isinstance(settings, SearchSettings) and settings.fitness == "last-doc":
            return Measure("loss of the last document", lambda r: r.last_loss, "nats per token")
        return Measure(label, lambda r: r.val_loss, "nats per token")

    @cached_property
    def measured(self) -> list[tuple[float, TrialRecord]]:
        """The values and the records of the finished trials; those of the best rung of each."""
        found: dict[Hashable, tuple[float, TrialRecord]] = {}
        for record in self.records:
            if record.is_ok and (value := self.measure.of(record)) is not None:
                pair, trial = (value, record), trial_of(record)
                found[trial] = min(found.get(trial, pair), pair, key=itemgetter(0))
        return [*found.values()]

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The candidates with a value, best first; those that lack seeds come last."""
        groups: dict[str | Genome, Candidate] = {}
        for value, record in sorted(self.measured, key=lambda pair: pair[1].seed):
            if record.origin not in AFTERWARDS:
                each = groups.setdefault(record.id or record.genome, Candidate({}, {}))
                each.records[record.seed], each.values[record.seed] = record, value
        sign = -1 if self.measure.is_score else 1
        return sorted(groups.values(), key=lambda each: (-len(each.values), sign * each.mean.value))

    @property
    def winner(self) -> Candidate:
        """The winner; until there is one, the best candidate."""
        won = self.fresh[0].parents if self.fresh else ()
        found = [each for each in self.candidates if each.record.id in won]
        return (found or self.candidates)[0]

    @property
    def seeds(self) -> list[int]:
        """The seeds of the finished trials."""
        return sorted({record.seed for _, record in self.measured})

    @cached_property
    def differing(self) -> list[str]:
        """The settings in which the trials differ."""
        return differing(record.genome for record in self.records)

    def describe(self, genome: Genome) -> str:
        """Return as text the settings in which the trials differ, or all genes if none do."""
        return describe(values_of(genome, self.differing or GENES))


def _score(name: str, record: TrialRecord) -> float | None:
    return record.scores.get(name) if record.scores else None


def trial_of(record: TrialRecord) -> Hashable:
    """Return what the rungs of one trial have in common."""
    return record.id or record.genome, record.seed


def read_ranking(directory: Path) -> Ranking:
    """Read a study; raise StudyError if it is damaged or has no results yet."""
    study = Study(directory, StudySettings)
    records, fresh = study.records, list[TrialRecord]()
    if (study.directory / GENOME).exists():
        winner = read_genome(study.directory / GENOME).genome
        ended = (each for each in records if each.origin == FRESH and each.genome == winner)
        fresh = sorted(ended, key=lambda record: record.id)  # the seed of the search first
    found = Ranking(study.settings, records, fresh, study.directory.name)
    if not found.candidates:
        raise StudyError(f"{study.directory} has no results yet; try again later")
    return found
