"""Rank the trials of a study, and format tables of their means, differences and settings."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from operator import itemgetter
from pathlib import Path
from typing import Self

from microgpt import in_short
from microgpt_evolution.confidence_intervals import Mean, paired_difference
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.genome import GENES, VALUES, Genome, values_of
from microgpt_evolution.genome_file import GENOME, read_genome
from microgpt_evolution.objectives.aesthetic_judge import first_names
from microgpt_evolution.strategies.grid import describe, differing, show
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import BudgetedSettings, SearchSettings, StudySettings
from microgpt_evolution.trial import FRESH, RETEST, STUDENT, TrialRecord

AFTERWARDS = (RETEST, FRESH, STUDENT)  # origins of trials after the search, which are not ranked
Rows = Sequence[Sequence[str]]  # a table; its first row has the headings


@dataclass(frozen=True)
class Measure:
    """The loss or score by which trials are ranked, with its labels."""

    label: str  # name of the value, with the contamination mark
    axis: str  # the label and its unit
    value_of: Callable[[TrialRecord], float | None]
    is_score: bool = False  # whether higher values are better, as for scores


@dataclass(frozen=True, eq=False)
class Candidate:
    """An organism of a search or a genome of a sweep, with its finished trials."""

    record: TrialRecord  # the trial with the first seed
    records: list[TrialRecord]
    values: dict[int, float]  # the measured value for each seed

    @cached_property
    def mean(self) -> Mean:
        """The mean of the values over the seeds."""
        return Mean.over([*self.values.values()])

    def above(self, other: Self) -> Mean:
        """Return by how much the values exceed those of another candidate, paired by seed."""
        return paired_difference(self.values, other.values)


@dataclass(frozen=True)
class Ranking:
    """The trials of a finished or running study, or of several sweeps of the same documents."""

    settings: StudySettings
    records: Sequence[TrialRecord]
    fresh: Sequence[TrialRecord] = ()  # the trials of the winner with fresh seeds
    name: str = ""  # name of the study's directory

    @cached_property
    def measure(self) -> Measure:
        """The loss or score that decides the ranking; for a Hydra, that of --head or the judge."""
        settings, label = self.settings, f"held-out loss{self.settings.mark()}"
        if isinstance(settings, BudgetedSettings):
            axis = f"{label}, nats per character"
            return Measure(label, axis, lambda r: min(r.losses, default=None))
        if isinstance(settings, SearchSettings) and (key := settings.measure):
            label = f"{key} score"
            return Measure(label, label, lambda r: (r.scores or {}).get(key), is_score=True)
        if isinstance(settings, SearchSettings) and settings.fitness == "last-doc":
            label = "loss of the last document"
            return Measure(label, f"{label}, nats per token", lambda r: r.last_loss)
        return Measure(label, f"{label}, nats per token", lambda r: r.val_loss)

    @cached_property
    def measured(self) -> list[tuple[float, TrialRecord]]:
        """The lowest value over the rungs, and its record, of each training run with a value."""
        found: dict[Hashable, tuple[float, TrialRecord]] = {}
        for record in self.records:
            if record.is_ok and (value := self.measure.value_of(record)) is not None:
                pair, trial = (value, record), (record.id or record.genome, record.seed)
                found[trial] = min(found.get(trial, pair), pair, key=itemgetter(0))
        return [*found.values()]

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The candidates with a value, best first; those with values for fewer seeds come last."""
        groups: dict[str | Genome, Candidate] = {}
        for value, record in sorted(self.measured, key=lambda pair: pair[1].seed):
            if record.origin not in AFTERWARDS:
                candidate = groups.setdefault(record.id or record.genome, Candidate(record, [], {}))
                candidate.records.append(record)
                candidate.values[record.seed] = value
        if not groups:
            raise StudyError(f"{self.name or 'the study'} has no results yet; try again later")
        sign = -1 if self.measure.is_score else 1
        return sorted(groups.values(), key=lambda each: (-len(each.values), sign * each.mean.value))

    @property
    def winner(self) -> Candidate:
        """The winner of the search or, until it is chosen, the best candidate."""
        won = self.fresh[0].parents if self.fresh else ()
        found = [each for each in self.candidates if each.record.id in won]
        return (found or self.candidates)[0]

    @property
    def seeds(self) -> list[int]:
        """The seeds of the finished trials."""
        return sorted({record.seed for _, record in self.measured})

    @cached_property
    def differing(self) -> list[str]:
        """The names of the settings in which the trials differ."""
        return differing(record.genome for record in self.records)

    @cached_property
    def shared(self) -> list[str]:
        """The names of the genes, and of changed settings, in which the trials do not differ."""
        genes = (*VALUES, "block_size") if isinstance(self.settings, BudgetedSettings) else GENES
        names = dict.fromkeys([*genes, *self.records[0].genome.to_dict()])
        return [name for name in names if name not in self.differing]

    def describe(self, genome: Genome) -> str:
        """Format the settings in which the trials differ, or those that they share if none do."""
        return describe(values_of(genome, self.differing or self.shared))


def read_ranking(directory: Path) -> Ranking:
    """Read a study and return its ranking; raise StudyError if the study is damaged."""
    study = Study(directory, StudySettings)
    records, fresh = study.records, list[TrialRecord]()
    if (study.directory / GENOME).exists():
        winner = read_genome(study.directory / GENOME).genome
        ended = (each for each in records if each.origin == FRESH and each.genome == winner)
        fresh = sorted(ended, key=lambda record: record.id)  # the order of seeds: fresh1, fresh2, …
    return Ranking(study.settings, records, fresh, study.directory.name)


Cells = Mapping[str, Callable[[Candidate], object]]  # functions that fill the cells, by heading


def describe_ranking(ranking: Ranking, n_rows: int | None = None) -> Iterator[str]:
    """Yield the lines of a sweep's ranking: a heading, and the table of `best_of`."""
    measure, n_seeds, n = ranking.measure, len(ranking.seeds), len(ranking.candidates)
    repeats = f"mean over {n_seeds} seeds ± 95 % interval" if n_seeds > 1 else "1 seed"
    if n_seeds > 1 < n:
        repeats += "; Behind 1: paired by seed"
    yield f"Ranking by {measure.axis} ({repeats})"
    yield from text_of(best_of(ranking, n_rows))
    if n_rows and n > n_rows:
        yield f"… and {n - n_rows} more"


def best_of(ranking: Ranking, n_rows: int | None) -> Rows:
    """Return a table of the best n_rows (None: all) genomes of a sweep or organisms of a search."""
    ranked = ranking.candidates
    first, n_seeds = ranked[0], len(ranked[0].values)

    def remark(each: Candidate) -> str:
        return f"{len(each.values)} of {n_seeds} seeds" if len(each.values) < n_seeds else ""

    cells: Cells = {
        "": lambda each: each.record.id or ranked.index(each) + 1,
        **{name: partial(_setting, name) for name in ranking.differing},
        ranking.measure.label.capitalize(): lambda each: each.mean,
        "Behind 1": lambda each: "" if each is first or n_seeds == 1 else each.above(first),
        "Params": n_params,
        "Operations": lambda each: "" if each.record.until else in_short(each.record.flops, 3),
        "Names": lambda each: first_names(each.record.samples) if each.record.scores else "",
        " ": remark,
    }
    return rows_of(ranked[:n_rows], cells)


def _setting(name: str, candidate: Candidate) -> str:
    return show(getattr(candidate.record.genome, name))


def n_params(candidate: Candidate) -> str:
    """Format the number of parameters of a candidate's model for a table cell."""
    return f"{candidate.record.n_params:,}"


def rows_of(candidates: Iterable[Candidate], cells: Cells) -> Rows:
    """Return a table with a row of headings and a row per candidate, without empty columns."""
    rows = [[str(cell(each)) for cell in cells.values()] for each in candidates]
    used = [column for column in zip(cells, *rows, strict=True) if any(column[1:])]
    return [*zip(*used, strict=True)]


def text_of(rows: Rows, left: Collection[str] = ()) -> Iterator[str]:
    """Yield the lines of a table; columns in `left` are left-aligned, all others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(rows[0], row, widths, strict=True)
        padded = (f"{cell:{'<' if head in left else '>'}{width}}" for head, cell, width in cells)
        yield "  ".join(padded).rstrip()
