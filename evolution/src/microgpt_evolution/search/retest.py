"""Retest the finalists, select the winner, and retrain it with fresh seeds.

The best of many noisy measurements is partly due to luck, so means over several seeds are compared.
exam.json stores the measurements of the winner in the retest, and names that it generates.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import Field

from microgpt import (
    DivergedError,
    InferenceGpt,
    Split,
    read,
    train,
)
from microgpt_evolution import confidence_interval
from microgpt_evolution.errors import RunError, raised_as
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import HeadName
from microgpt_evolution.objectives.judge import known_names
from microgpt_evolution.objectives.loss_objective import generate_and_score
from microgpt_evolution.objectives.scores import NameScores
from microgpt_evolution.organism import Evaluation, Organism, Trial, training_seed
from microgpt_evolution.runs.run_files import Stored
from microgpt_evolution.search.aesthetic_search import JUDGE, AestheticPopulation
from microgpt_evolution.search.hydra_search import Hydra
from microgpt_evolution.search.population import Population

N_REPEATS = 2  # retest runs per finalist, in addition to the run in the search
N_FRESH = 2  # fresh seeds for the winner, in addition to the seed of the run

EXAM = "exam.json"
MAX_BYTES = 2**24


@dataclass(frozen=True)
class Candidate:
    """A finalist with one evaluation per seed; the first evaluation comes from the search."""

    organism: Organism  # the finalist with its evaluation in the search
    evaluations: tuple[Evaluation, ...]

    def values(self, measure: str | None) -> list[float]:
        """Return the values of a score of `NameScores`, or of the fitness if measure is None."""
        if measure is None:
            return [evaluation.fitness for evaluation in self.evaluations]
        return [e.scores.scores[measure] for e in self.evaluations if e.scores]

    def mean(self, measure: str | None) -> float:
        """Return the mean of a score, or the mean fitness if measure is None."""
        return fmean(self.values(measure))

    def describe(self, measure: str | None) -> str:
        """Format the mean and interval of a score, or of the fitness if measure is None."""
        return confidence_interval.describe(self.values(measure))


Candidates = Sequence[Candidate]


@dataclass(frozen=True)
class Winner:
    """The winner of a search and the measure to report."""

    organism: Organism  # the winner with its evaluation in the search
    measure: str | None = None  # key of `NameScores.scores`; None if a loss was minimised
    head: HeadName | None = None  # head whose champion won; None if no head was requested

    @property
    def found(self) -> Evaluation:
        """The evaluation of the winner in the search."""
        assert self.organism.evaluation
        return self.organism.evaluation

    def fresh_seeds(self, run_seed: int) -> list[int]:
        """Return seeds not used for selection: the seed of the run and two new seeds."""
        repeats = range(N_REPEATS + 1, N_REPEATS + 1 + N_FRESH)
        return [run_seed, *(_seed(self.organism, run_seed, repeat) for repeat in repeats)]


def confirmation_trials(finalists: Sequence[Organism], run_seed: int) -> list[Trial]:
    """Return N_REPEATS retest trials per finalist, grouped by finalist."""
    return [
        Trial(o.genome, _seed(o, run_seed, i), f"{o.id}-again{i}", "confirm", (o.id,))
        for o in finalists
        for i in range(1, N_REPEATS + 1)
    ]


def make_candidates(finalists: Sequence[Organism], again: Sequence[Evaluation]) -> list[Candidate]:
    """Return the finalists with the successful evaluations of their `confirmation_trials`."""
    return [
        Candidate(finalist, (finalist.evaluation, *(e for e in found if e.status == "ok")))
        for i, finalist in enumerate(finalists)
        if finalist.evaluation and (found := again[i * N_REPEATS : (i + 1) * N_REPEATS])
    ]


def choose(
    search: Population | Hydra, candidates: Candidates, head: HeadName | None = None
) -> Winner | None:
    """Return the winner among the retested finalists, or None if there is none.

    Args:
        head: head of the Hydra whose champion wins; None for the best over all heads.
    """
    if not candidates:
        return None
    if isinstance(search, AestheticPopulation):
        return Winner(best_for(JUDGE, candidates).organism, JUDGE)
    if isinstance(search, Population):
        return Winner(min(candidates, key=lambda candidate: candidate.mean(None)).organism)
    if head is None:  # report the judge's score
        return Winner(best_for_all(list(search.heads), candidates).organism, JUDGE)
    by_seed = {candidate.organism.seed: candidate for candidate in candidates}
    champions = [by_seed[organism.seed] for organism in search.met[head]]
    return Winner(best_for(head, champions).organism, head, head) if champions else None


def best_for(measure: str, candidates: Candidates) -> Candidate:
    """Return the candidate with the best mean score; the first candidate wins ties."""
    return max(candidates, key=lambda candidate: candidate.mean(measure))


def best_for_all(heads: Collection[HeadName], candidates: Candidates) -> Candidate:
    """Return the candidate with the lowest sum of ranks over the heads; the first wins ties.

    Ranks are used because the scores of different heads are not comparable.
    """
    return min(
        candidates,
        key=lambda one: sum(each.mean(h) > one.mean(h) for h in heads for each in candidates),
    )


def _seed(organism: Organism, run_seed: int, repeat: int) -> int:
    return training_seed(run_seed, organism.generation, organism.slot, repeat)


class Retest(Stored):
    """Losses of a genome trained with several seeds, in nats per token; exam.json stores it."""

    version: Literal[2] = 2
    id: str = ""  # id of the winning organism
    last_losses: tuple[float, ...]  # on the last training document
    val_losses: tuple[float, ...]  # on validation documents, which the search may have used
    test_losses: tuple[float, ...]  # on test documents, which the search has not used
    scores: tuple[NameScores, ...] = ()  # scores of generated names; empty if names are not scored
    names: tuple[str, ...] = ()  # names generated by the model of the first seed
    result: Annotated[Any, Field(exclude=True)] = None  # TrainResult of the first seed


def retest(genome: Genome, parts: Split, seeds: Sequence[int], *, n_samples: int = 0) -> Retest:
    """Retrain a genome with each seed and measure its losses. If n_samples > 0, also score names.

    Raises:
        DivergedError: training diverged with every seed. Otherwise, diverged seeds are left out.
    """
    learnt_from = replace(parts, validation=(), test=())
    results, problem = [], None
    for seed in seeds:
        try:
            config = genome.train_config(seed)
            results.append(train(learnt_from, model=genome.model(), config=config))
        except DivergedError as error:
            problem = error
    if not results:
        assert problem, "there are no seeds"
        raise problem
    models = [InferenceGpt(result) for result in results]
    known = known_names(parts.docs) if n_samples else frozenset()
    return Retest(
        last_losses=tuple(result.losses[-1] for result in results),
        val_losses=tuple(model.evaluate(parts.validation).loss for model in models),
        test_losses=tuple(model.evaluate(parts.test).loss for model in models),
        scores=tuple(
            generate_and_score(model, known, n_samples, result.config.seed)[1]
            for model, result in zip(models, results, strict=True)
            if n_samples
        ),
        result=results[0],
    )


def read_retest(directory: Path) -> Retest | None:
    """Read exam.json; return None if it does not exist, and raise RunError if it is damaged."""
    path = directory / EXAM
    if not path.exists():
        return None
    content = read(path, MAX_BYTES, RunError)
    with raised_as(RunError, path):
        return Retest.model_validate_json(content)
