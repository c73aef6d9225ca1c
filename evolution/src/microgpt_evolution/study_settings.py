"""The settings of studies, as stored in settings.json."""

import json
from collections.abc import Mapping, Sequence, Set
from operator import not_
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from microgpt import (
    MAX_SEED,
    ConfigError,
    Split,
    TextKind,
    as_argument,
    check_setting,
    checked,
    contamination,
    mark,
    other_version,
    read_regular_file,
)
from microgpt_evolution.evolution_errors import StudyError, raised_as
from microgpt_evolution.genome import Gene, Genome
from microgpt_evolution.objectives import Fitness, ObjectiveName
from microgpt_evolution.objectives.aesthetic_judge import JUDGE, HeadName
from microgpt_evolution.trial import Genes, Stored, Trial

SETTINGS, FORMAT_VERSION = "settings.json", 8
MAX_SETTINGS_BYTES = 2**24  # a sweep of 10,000 configurations takes 3 MB
MAX_SEEDS = 1000  # maximum number of training runs per configuration of a sweep
HELD_OUT = 0.1  # fraction of documents in each of the validation and test sets
# Options of each objective, with their default values.
DEFAULTS: dict[ObjectiveName, dict[str, Any]] = {
    "loss": {"population": 8, "generations": 10, "fitness": "held-out"},
    "aesthetic": {"population": 12, "generations": 5},
    "hydra": {"population": 8, "generations": 5, "head": None},
}
OPTIONS = ("population", "generations", "fitness", "head")
MAX_POPULATION = 10_000  # a population of this size fits into memory

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Count = Annotated[int, Field(ge=1)]
Operations = Annotated[float, Field(gt=0)]


class StudySettings(Stored):
    """The settings that all kinds of studies record in settings.json."""

    kind: str
    noun: ClassVar[str] = "search"  # the word for the study in messages
    resume_command: ClassVar[str] = "microgpt evolve --resume"  # the directory is appended
    more: ClassVar[Set[str]] = frozenset()  # settings that can be increased when a study is resumed
    free: ClassVar[Set[str]] = frozenset({"train_winner"})  # settings that resuming can replace
    # Fields whose values can differ when a study is resumed from Python.
    facts: ClassVar[Set[str]] = frozenset({"version", "n_trials", "contamination", "input"})

    version: int = FORMAT_VERSION
    n_trials: int | None = None  # number of trials of a finished study; None before its end
    input: Annotated[str, Field(pattern=r"^[^\x00]+$")]  # path of the documents
    column: str | None = None  # column or field with the documents
    text: TextKind = "lines"
    data_sha256: str  # SHA-256 of all documents
    val_fraction: float = HELD_OUT  # fraction of the documents in the validation set
    test_fraction: float = HELD_OUT
    gap: int = 0  # number of unused characters around held-out passages of running text
    # Fraction of each held-out set ("validation", "test") that was also used in training.
    contamination: dict[str, float | None] = Field({}, exclude_if=not_)
    train_winner: str | None = None  # path of the directory for the model of the winner

    def mark(self, name: str = "validation") -> str:
        """Return the contamination mark of losses on a held-out set; "" if there is none."""
        return mark(self.contamination.get(name, 0.0))


class SearchSettings(StudySettings):
    """The settings of a search without a budget: loss, aesthetic or Hydra."""

    kind: Literal["search"] = "search"
    more = frozenset({"generations"})

    objective: ObjectiveName
    population: Annotated[Count, Field(le=MAX_POPULATION)]  # number of organisms per population
    generations: Count  # number of generations; for the Hydra, number of cycles
    seed: Seed
    fitness: Fitness | None = None  # the loss to minimize; None if a score is maximized
    head: HeadName | None = None  # the head whose champion wins; None for the best over all heads

    @property
    def measure(self) -> str | None:
        """The name of the score that is reported for the winner; None if a loss is minimized."""
        return None if self.objective == "loss" else self.head or JUDGE

    @property
    def fitness_mark(self) -> str:
        """The contamination mark of fitness values; "" unless the fitness is a held-out loss."""
        return self.mark() if self.fitness == "held-out" else ""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        """Raise ConfigError if an option is missing, or belongs to another objective."""
        known = DEFAULTS[self.objective]
        for name in OPTIONS:
            value = getattr(self, name)
            if name not in known and value:
                others = " or ".join(kind for kind, options in DEFAULTS.items() if name in options)
                raise ConfigError(f"{name} is only for objective {others}; omit --{name}")
            if value is None and known.get(name) is not None:
                raise ConfigError(f"objective {self.objective} requires {name}")
        return self

    @classmethod
    def begin(cls, given: Mapping[str, Any], **facts: object) -> Self:
        """Return the settings of a search with the given options, defaults and other fields."""
        objective: Any = given.get("objective")
        objective = "loss" if objective is None else objective
        checked("objective", objective, ObjectiveName)
        options = {name: given[name] for name in OPTIONS if given.get(name) is not None}
        with raised_as(ConfigError):
            return cls(objective=objective, **DEFAULTS[objective] | options | facts)


class BudgetedSettings(StudySettings):
    """The settings of a search with a budget."""

    kind: Literal["search with a budget"] = "search with a budget"

    budget: Operations  # maximum number of operations of the search
    operations: Operations  # number of operations of a complete training run, without evaluations
    seed: Seed
    # Remaining budget before each generation, in operations; a time limit can have lowered it.
    remaining: tuple[Annotated[float, Field(ge=0)], ...] = ()
    distill: int = 0  # maximum number of organisms that teach a student at the end
    teacher_samples: int = 0  # number of documents that the teachers generate
    test_loss: float | None = None  # the loss of the model that was saved, in nats per character
    # Genomes of the first generation.
    first: Annotated[tuple[Genes, ...], Field(min_length=1)]
    values: dict[str, Annotated[tuple[Gene, ...], Field(min_length=1)]]  # allowed values by gene


class SweepSettings(StudySettings):
    """The settings of a sweep, which trains each genome with each seed."""

    kind: Literal["sweep"] = "sweep"
    noun, resume_command = "sweep", "microgpt sweep resume"
    more = frozenset({"seeds"})

    genomes: Annotated[tuple[Genes, ...], Field(min_length=1)]  # each is trained with every seed
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]

    @classmethod
    def begin(cls, genomes: Sequence[Genome], n_seeds: int, *, seed: int, **facts: Any) -> Self:
        """Return the settings of a new sweep; raise ConfigError if a setting is out of range."""
        with raised_as(ConfigError):
            return cls(genomes=tuple(genomes), seeds=seeds_from(seed, n_seeds), **facts)

    @property
    def trials(self) -> list[Trial]:
        """The trials of each genome with each seed, ordered by genome and then by seed."""
        return [Trial(genome, seed) for genome in self.genomes for seed in self.seeds]


class ResearchSettings(StudySettings):
    """The settings of a research study, which compares programs with a champion."""

    kind: Literal["research"] = "research"
    noun, resume_command = "study", "microgpt research try --run"

    seed: Seed
    experiment: str  # path of the program that the user edits
    operations: Operations  # maximum number of operations of a training run


KINDS: dict[str, type[StudySettings]] = {
    each.model_fields["kind"].default: each
    for each in (SearchSettings, BudgetedSettings, SweepSettings, ResearchSettings)
}


def seeds_from(first: int, n: int) -> tuple[int, ...]:
    """Return n consecutive seeds; raise ConfigError if n or the last seed is too large."""
    if n > MAX_SEEDS:
        raise ConfigError(f"seeds must be at most {MAX_SEEDS}, got {n}")
    check_setting("seed", first + n - 1)
    return tuple(range(first, first + n))


def read_settings(directory: Path) -> StudySettings:
    """Read settings.json; raise StudyError if it is missing or damaged."""
    path = directory / SETTINGS
    try:
        content = read_regular_file(path, MAX_SETTINGS_BYTES)
    except OSError as error:
        if (directory / "meta.json").exists():
            how = f"see it with: microgpt info {as_argument(directory)}"
            raise StudyError(f"{directory} is a model, not a study; {how}") from error
        raise StudyError(
            f"{directory} is not a study: cannot read {SETTINGS}: {error.strerror}; studies "
            "are directories such as experiments/evolve_… and experiments/sweep_…"
        ) from error
    with raised_as(StudyError, path, "; restore the file or start a new study", form="JSON"):
        if other := other_version(content, "version", FORMAT_VERSION):
            raise StudyError(other)
        facts = json.loads(content)
        kind = facts.get("kind") if isinstance(facts, dict) else None
        if kind not in [*KINDS]:  # a list, as `kind` can be unhashable
            raise StudyError(f"kind must be one of {', '.join(KINDS)}, got {kind!r:.40}")
        return KINDS[kind].model_validate_json(content.decode())


def facts_of(sets: Split) -> dict[str, Any]:
    """Return the settings of a study that follow from its documents."""
    return {
        "text": "lines" if sets.gap is None else "stream",
        "data_sha256": sets.facts.sha256,
        "val_fraction": sets.val_fraction,
        "test_fraction": sets.test_fraction,
        "gap": sets.gap or 0,
        "contamination": contamination(sets, ()),
    }
