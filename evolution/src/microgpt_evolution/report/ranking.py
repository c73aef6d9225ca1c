"""The trials of a study, best first: means over seeds, and differences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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

TESTED = "tested"  # origin of a record with the test loss of the model that a search keeps


@dataclass(frozen=True)
class Measure:
    """The value by which trials are ranked."""

    label: str  # with a mark if some of the held-out documents were read in training
    of: Callable[[TrialRecord], float | None]
    unit: str = ""
    is_score: bool = False  # of which more is better


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

    def mean_of(self, name: str) -> Mean:
        """Return the mean of another number of the records."""
        return Mean.of([getattr(record, name) for record in self.records.values()])

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
        groups: dict[str | Genome, Candidate] = {}
        # Rungs of a training run have the same seed; the one with the lowest loss remains.
        for value, record in sorted(self.measured, key=lambda pair: (pair[1].seed, -pair[0])):
            if record.origin != RETEST:
                each = groups.setdefault(record.id or record.genome, Candidate({}, {}))
                each.records[record.seed], each.values[record.seed] = record, value
        sign = -1 if self.measure.is_score else 1
        return sorted(groups.values(), key=lambda each: (-len(each.values), sign * each.mean.value))

    @property
    def first(self) -> Candidate:
        """The first organism, which a search improves."""
        return min(self.candidates, key=lambda each: each.record.place)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the finished trials."""
        return sorted({record.seed for _, record in self.measured})


def front_of(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates with a lower loss than all cheaper ones, cheapest first."""
    front: list[Candidate] = []
    for each in sorted(candidates, key=lambda each: (each.record.flops, each.mean.value)):
        if not front or each.mean.value < front[-1].mean.value:
            front.append(each)
    return front


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
        settings, others = self.settings, (FRESH, STUDENT, TESTED)
        searched = [record for record in self.records if record.origin not in others]
        if isinstance(settings, SearchSettings) and settings.objective == "hydra":
            return _rankings_of_heads(searched, settings.population)
        return [Ranking(measure_of(settings), searched)]

    @cached_property
    def winner(self) -> tuple[Ranking, Candidate] | None:
        """The winner, in its ranking; until there is one, the best of the first population."""
        all = [(ranking, each) for ranking in self.rankings for each in ranking.candidates]
        won = [pair for pair in all if self.fresh and pair[1].record.id in self.fresh[0].parents]
        return next(iter([*won, *all]), None)

    def describe(self, genome: Genome) -> str:
        """Return as text the settings in which the trials differ, or all genes if none do."""
        return describe_settings(values_of(genome, self._differing or GENES))

    @cached_property
    def _differing(self) -> list[str]:
        return differing(record.genome for record in self.records)


def measure_of(settings: StudySettings) -> Measure:
    """Return the measure of all studies but the Hydra's."""
    label = f"held-out loss{settings.mark()}"
    if isinstance(settings, BudgetedSettings):
        return Measure(label, lambda r: min(r.losses, default=None), "nats per character")
    if isinstance(settings, SearchSettings):
        if settings.objective == "aesthetic":
            return _score(JUDGE, "judge")
        if settings.fitness == "last-doc":
            return Measure("loss of the last document", lambda r: r.last_loss, "nats per token")
        if settings.fitness == "own":
            return Measure("own objective", lambda r: r.value)
    return Measure(label, lambda r: r.val_loss, "nats per token")


def _score(key: str, name: str) -> Measure:
    def score(record: TrialRecord) -> float | None:
        return record.scores.scores.get(key) if record.scores else None

    return Measure(f"{name} score", score, is_score=True)


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
