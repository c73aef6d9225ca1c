"""Settings and records of a search, which a resumed run uses again."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from microgpt import CharTokenizer, ConfigError, Split, checked
from microgpt_evolution.errors import raised_as
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import Fitness, HeadName, ObjectiveName
from microgpt_evolution.objectives.loss_objective import MAX_FLOPS, N_SAMPLES
from microgpt_evolution.strategies.aesthetic import JUDGE, AestheticPopulation
from microgpt_evolution.strategies.hydra import HEAD_GENERATIONS, Hydra
from microgpt_evolution.strategies.loss import LossSearch
from microgpt_evolution.strategies.population import Population
from microgpt_evolution.study import SEARCH, Count, Seed, Study, StudySettings, facts_of
from microgpt_evolution.trial import Genes, TrialRecord

Search = Population | Hydra  # both classes have the methods ask, tell and finalists

# Options of each objective, with their default values.
DEFAULTS: Mapping[ObjectiveName, Mapping[str, Any]] = {
    "loss": {"population": 8, "generations": 10, "fitness": "held-out"},
    "aesthetic": {"population": 12, "generations": 5, "samples": N_SAMPLES},
    "hydra": {"population": 8, "generations": 5, "samples": N_SAMPLES, "head": None},
}
OPTIONS = ("population", "generations", "fitness", "samples", "head")
FRESH = "fresh"  # origin of the winner's training runs with seeds that did not choose it
MAX_POPULATION, MAX_SAMPLES = 10_000, 100_000  # searches within these limits fit in memory


class SearchSettings(StudySettings):
    """The settings of a search, as stored in settings.json."""

    kind = SEARCH
    more = frozenset({"generations"})
    derived = StudySettings.derived | {"input", "column", "vocab_size"}

    objective: ObjectiveName
    vocab_size: Count
    population: Annotated[Count, Field(le=MAX_POPULATION)]  # number of organisms per population
    generations: Count  # number of generations; for the Hydra, number of cycles
    seed: Seed
    fitness: Fitness | None = None  # loss to minimise; None if a score is maximised
    samples: Annotated[Count, Field(le=MAX_SAMPLES)] | None = None  # number of names per organism
    head: HeadName | None = None  # head whose champion wins; None for the best over all heads
    warm_start: Genes | None = None  # stored as a genome, because the genome file may change
    max_flops: float = MAX_FLOPS  # maximum FLOPs per training run; larger genomes are refused

    @property
    def n_generations(self) -> int:
        """The number of generations; each Hydra cycle has HEAD_GENERATIONS generations."""
        return self.generations * (HEAD_GENERATIONS if self.objective == "hydra" else 1)

    @property
    def has_function(self) -> bool:
        """Whether the user passes an objective, from Python."""
        return self.fitness == "own"

    @property
    def measure(self) -> str | None:
        """The score that the winner is reported with; None if a loss is minimised."""
        return None if self.objective == "loss" else self.head or JUDGE

    @property
    def fitness_mark(self) -> str:
        """The mark of the values that the search minimises; empty unless they are held-out."""
        return self.mark() if self.fitness == "held-out" else ""

    def search(self) -> Search:
        """Create the search described by these settings."""
        options: dict[str, Any] = {"size": self.population, "seed": self.seed}
        options["ancestor"] = self.warm_start
        if self.objective == "loss":
            assert self.fitness
            return LossSearch(fitness=self.fitness, **options)
        if self.objective == "aesthetic":
            return AestheticPopulation(measure=JUDGE, **options)
        return Hydra(head=self.head, **options)

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        """Reject options of other objectives, and require the options of this objective."""
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
    def begin(cls, given: Mapping[str, Any], **facts: object) -> "SearchSettings":
        """Return the settings of a new run.

        Args:
            given: options by name; None selects the default.
            facts: values of the other fields.

        Raises:
            ConfigError: an option does not belong to the objective, or is out of range.
        """
        given = {name: option for name, option in given.items() if option is not None}
        objective = given.get("objective", "loss")
        checked("objective", objective, ObjectiveName)
        chosen = {**DEFAULTS[objective], **{name: given[name] for name in OPTIONS if name in given}}
        with raised_as(ConfigError):
            return cls.model_validate({"objective": objective, **chosen, **facts})


class Records(Study[SearchSettings]):
    """The records of a search; see `Study`."""

    settings_type = SearchSettings

    @property
    def searched(self) -> list[TrialRecord]:
        """The records on which the search is based."""
        return [line for line in self.lines if line.origin != FRESH]

    def fresh(self, winner: Genome) -> list[TrialRecord]:
        """Return the records of the winner with fresh seeds; a parent is the winner."""
        return [line for line in self.lines if line.origin == FRESH and line.genome == winner]


def describe_documents(parts: Split) -> dict[str, Any]:
    """Return the settings that depend on the documents."""
    return facts_of(parts) | {"vocab_size": CharTokenizer.from_documents(parts.docs).vocab_size}
