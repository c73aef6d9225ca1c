"""Evaluations of a search.

Searches are deterministic: given the recorded evaluations, a search breeds the same organisms
again. `replay` thus rebuilds the generations, including elites and migrants, which have no separate
records.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field

from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.scores import HEADS, NameScores
from microgpt_evolution.organism import Evaluation, Organism, Status, Trial
from microgpt_evolution.runs.run_directory import Line, RunDirectory, RunSettings
from microgpt_evolution.search.settings import Search, SearchSettings

LARGEST = 1e300  # maximum loss; sums of larger losses may overflow
_PENDING = Evaluation("crashed")  # sentinel for a missing evaluation; compared by identity

Known = Mapping[tuple[Genome, int], Evaluation]  # evaluations by genome and seed
Generation = Mapping[str, Sequence[Organism]]  # evaluated organisms, ranked, by population name


class EvaluationRecord(Line):
    """A line of evaluations.jsonl: an evaluation with its organism and cost."""

    id: str  # id of the organism, such as "g3-5"
    origin: str  # how the organism was created, or why it was trained
    parents: tuple[str, ...]  # ids of the parent organisms
    genome: Genome
    seed: int
    status: Status
    fitness: float | None
    last_loss: float | None
    val_loss: float | None
    scores: NameScores | None = Field(None, alias="vote")
    samples: tuple[str, ...] | None = None
    flops: int
    seconds: float
    cpu_seconds: float

    @classmethod
    def of(cls, trial: Trial[Genome], evaluation: Evaluation, *, flops: int, n_params: int) -> Self:
        """Return the record of an evaluation."""
        return cls(
            id=trial.id,
            origin=trial.origin,
            parents=trial.parents,
            genome=trial.config,
            seed=trial.seed,
            status=evaluation.status,
            fitness=evaluation.fitness if math.isfinite(evaluation.fitness) else None,
            last_loss=evaluation.last_loss,
            val_loss=evaluation.val_loss,
            vote=evaluation.scores,
            samples=evaluation.samples or None,
            flops=flops,
            seconds=round(evaluation.seconds, 4),
            cpu_seconds=round(evaluation.cpu_seconds, 4),
        )

    @property
    def key(self) -> tuple[Genome, int]:
        """The genome and the seed."""
        return self.genome, self.seed

    @cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation without the cost (FLOPs and times)."""
        fitness = math.inf if self.fitness is None else self.fitness
        names = self.samples or ()
        return Evaluation(self.status, fitness, self.last_loss, self.val_loss, names, self.scores)

    def encode(self) -> bytes:
        """Encode the record as JSON."""
        absent = set() if self.samples else {"samples", "scores"}
        return self.model_dump_json(exclude=absent).encode()

    def problem(self, settings: RunSettings) -> str | None:
        """Return the reason why a search cannot use a finished evaluation, or None."""
        if self.status != "ok":
            return None
        losses = (self.fitness, self.last_loss, self.val_loss)
        if any(abs(loss) > LARGEST for loss in losses if loss is not None):
            return f"a loss exceeds {LARGEST:g}"
        assert isinstance(settings, SearchSettings)
        if settings.objective == "loss":
            return "fitness is missing" if self.fitness is None else None
        if self.scores is None:
            return "vote is missing"
        if missing := {"judge", *HEADS} - self.scores.scores.keys():
            return f"vote lacks {', '.join(sorted(missing))}"
        if not 0 <= self.scores.novel <= 1:
            return f"vote.novel must be between 0 and 1, got {self.scores.novel:g}"
        return None


class Records(RunDirectory[SearchSettings, EvaluationRecord]):
    """The records of a search; see `RunDirectory`."""

    settings_type, line_type = SearchSettings, EvaluationRecord


def read_search(path: Path) -> Records:
    """Read the records of a search, given the run directory or its log file.

    Raises:
        RunError: the run is missing, of another kind, damaged, or has no evaluations yet.
    """
    run = Records.read(path)
    if not run.lines:
        raise RunError(f"{run.directory} has no evaluations yet; try again later")
    return run


def replay(search: Search, n_generations: int, known: Known) -> list[Generation]:
    """Return the recorded generations of a new search; the last one may be incomplete."""
    generations: list[Generation] = []
    for _ in range(n_generations):
        todo = search.ask()
        found = [known.get((organism.genome, organism.seed)) for organism in todo]
        if todo and not any(found):
            break
        search.tell([evaluation or _PENDING for evaluation in found])
        ranked = {
            name: [o for o in population.generations[-1] if o.evaluation is not _PENDING]
            for name, population in search.populations.items()
        }
        generations.append(ranked)
        if not all(found):
            break
    return generations
