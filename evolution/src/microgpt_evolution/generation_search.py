"""Search for the best genome for a set of documents, generation by generation: `evolve`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import fmean
from typing import Any

from microgpt import DEFAULT_SEED, Document, Plottable, Split, split
from microgpt_evolution.evolution_errors import NoWinnerError
from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.genome_file import GENOME, GenomeRecord, score_of, write_genome
from microgpt_evolution.objectives import Fitness, ObjectiveName
from microgpt_evolution.objectives.aesthetic_judge import JUDGE, HeadName
from microgpt_evolution.objectives.loss_objective import N_SAMPLES, LossObjective
from microgpt_evolution.search_log import SearchLog
from microgpt_evolution.strategies.hydra import AestheticPopulation, Hydra
from microgpt_evolution.strategies.organism import N_FRESH, N_REPEATS, Finalist, Organism
from microgpt_evolution.strategies.population import LossPopulation, Population
from microgpt_evolution.study import Study, open_in_python
from microgpt_evolution.study_settings import HELD_OUT, SearchSettings, facts_of
from microgpt_evolution.trial import Evaluation, Trial, TrialRecord, training_seed
from microgpt_evolution.workers import Workers

N_NAMES = 10  # number of the winner's generated names to display


@dataclass(frozen=True, repr=False)
class EvolutionResult(Plottable):
    """The winner of a search, and its results with fresh seeds."""

    record: GenomeRecord  # the content of genome.json
    winner: Organism  # its evaluation is the one from the search
    fresh: tuple[Evaluation, ...]  # one per successful fresh seed; the search's seed comes first
    study: Study[SearchSettings] = field(compare=False)  # has the records of all trials

    def __repr__(self) -> str:
        genome = " ".join(self.genome.describe().split())
        trials = f"{len(self.study.records):,} trials"
        return f"<EvolutionResult: {genome}; {score_of(self.record)}; {trials}>"

    @property
    def genome(self) -> Genome:
        """The winning genome; pass `genome.model()` and `genome.train_config(seed)` to `train`."""
        return self.record.genome

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the winner generated with the first successful fresh seed."""
        return self.fresh[0].samples[:N_NAMES]


@dataclass(frozen=True)
class SearchEvent:
    """Progress of a search, sent when a stage begins and after each evaluation."""

    search: Population | Hydra  # holds the populations and their generations
    organism: Organism | None  # the evaluated organism; None if a stage begins or a retest ends
    n_measured: int  # number of evaluations so far, except those of an earlier run
    n_left: int  # maximum number of remaining evaluations; elites are not evaluated again


def evolve(
    docs: Sequence[Document] | Split,
    *,
    objective: ObjectiveName = "loss",
    population: int | None = None,
    generations: int | None = None,
    fitness: Fitness | None = None,
    head: HeadName | None = None,
    seed: int = DEFAULT_SEED,
    workers: int | Workers | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    on_event: Callable[[SearchEvent], None] = lambda event: None,
    log: Callable[[str], None] = lambda line: None,  # called with each line of the log
) -> EvolutionResult:
    """Search for a genome and return the winner; the same arguments produce the same winner.

    Args:
        docs: a split, or documents to split: 80 % training, 10 % validation and 10 % test.
        population: number of organisms per generation (Hydra: per head). Default: 8; aesthetic: 12.
        generations: number of generations (Hydra: cycles). Default: 10; aesthetic and hydra: 5.
        fitness: only for "loss": "held-out" (default), or "last-doc" as in evolve-rust.
        head: only for "hydra": head whose champion wins. Default: the best organism over all heads.
        workers: number of threads, or open workers; does not affect the winner. By default, one
            thread per CPU that the process may use.
        run_dir: directory in which trials are recorded. An existing search is resumed.

    Raises:
        ConfigError: an argument is out of range, or differs from those of the existing search.
        DataError: there are too few documents.
        NoWinnerError: no organism could be trained.
        StudyError: the existing search is damaged.
    """
    sets = docs if isinstance(docs, Split) else split(docs, validation=HELD_OUT, test=HELD_OUT)
    given: dict[str, Any] = {"population": population, "generations": generations, "head": head}
    given |= {"objective": objective, "fitness": fitness}
    settings = SearchSettings.begin(given, input="documents", seed=seed, **facts_of(sets))
    with open_in_python(run_dir, settings, workers) as (study, pool):
        return run_search(sets, pool, study, log, on_event)


def run_search(
    sets: Split,
    workers: Workers,
    study: Study[SearchSettings],
    log: Callable[[str], None] = lambda line: None,
    on_event: Callable[[SearchEvent], None] = lambda event: None,
) -> EvolutionResult:
    """Run or resume a search, and write genome.json.

    A search trains the default genome (if the target loss depends on it) and the generations. It
    then trains the finalists with more seeds to choose the winner, and the winner with fresh seeds.
    """
    settings, breeding = study.settings, breeding_of(study.settings)
    objective, fresh_objective = _objectives(sets, settings)
    measure = _Measuring(study, workers, on_event, breeding).records_of
    seed, lines = settings.seed, SearchLog(log, settings)
    n_generations = settings.generations * breeding.n_per_cycle
    n_bred = sum(each.size for each in breeding.populations.values())
    n_last = breeding.n_finalists * N_REPEATS + N_FRESH
    primordial: Evaluation | None = None
    if settings.fitness == "held-out":
        first = Trial(PRIMORDIAL, training_seed(seed, 0, 0), "g0-0", "primordial")
        (primordial,) = measure([first], objective, n_generations * n_bred + n_last)
    lines.begin(primordial)
    for n_left in reversed(range(n_generations)):
        breeding.tell(measure(breeding.ask(), objective, n_left * n_bred + n_last))
        lines.generation(breeding, n_generations)
    best = breeding.finalists()
    trials = [trial for each in best for trial in each.retests(seed)]
    again = iter(measure(trials, objective, N_FRESH))
    finalists = [Finalist(each, [*islice(again, N_REPEATS)]) for each in best]
    if not (winner := breeding.choose(finalists)):
        raise NoWinnerError(study.why_no_winner())
    lines.finalists(finalists, winner)
    last = measure(winner.organism.fresh_trials(seed), fresh_objective, 0)
    organism, fresh = winner.organism, tuple(each for each in last if each.is_ok)
    if not fresh:
        raise NoWinnerError(
            f"the winner, {organism.id}, failed with all fresh seeds ({last[0].reason}); use "
            "another seed"
        )
    record = _record_of(organism, fresh, settings)
    write_genome(study.directory / GENOME, record)
    return EvolutionResult(record, organism, fresh, study)


@dataclass
class _Measuring:
    """Measures trials; calls `on_event` before the first trial of a stage and after each trial."""

    study: Study[SearchSettings]
    workers: Workers
    on_event: Callable[[SearchEvent], None]
    search: Population | Hydra
    n_measured: int = 0

    def records_of(
        self, trials: Sequence[Trial], objective: LossObjective, n_later: int
    ) -> list[TrialRecord]:
        """Return the records of trials; after these, the search measures up to `n_later` others."""
        n_left = n_later + sum(not self.study.record_of(trial) for trial in trials)
        self.on_event(SearchEvent(self.search, None, self.n_measured, n_left))

        def note(i: int, record: TrialRecord) -> None:
            nonlocal n_left
            trial, n_left, self.n_measured = trials[i], n_left - 1, self.n_measured + 1
            organism = replace(trial, evaluation=record) if isinstance(trial, Organism) else None
            self.on_event(SearchEvent(self.search, organism, self.n_measured, n_left))

        return self.study.measure(trials, objective, self.workers, note)


def _objectives(sets: Split, settings: SearchSettings) -> tuple[LossObjective, LossObjective]:
    """Return the objective of the search, and that of the winner's trials with fresh seeds."""
    n_samples = N_SAMPLES if settings.measure else 0
    objective = LossObjective(sets, settings.fitness, n_samples, text=settings.text)
    return objective, replace(
        objective,
        fitness=None if settings.measure else "held-out",
        n_samples=n_samples or N_NAMES,
        measures_test=True,
    )


def breeding_of(settings: SearchSettings) -> Population | Hydra:
    """Return the population of a search, or the Hydra with one population per head."""
    size, seed = settings.population, settings.seed
    if settings.fitness:
        return LossPopulation(size, seed=seed, fitness=settings.fitness)
    if settings.objective == "aesthetic":
        return AestheticPopulation(size, seed=seed, measure=JUDGE)
    return Hydra(size=size, seed=seed, head=settings.head)


def _record_of(
    winner: Organism, fresh: Sequence[Evaluation], settings: SearchSettings
) -> GenomeRecord:
    """Return the content of genome.json; held-out loss and score are means over fresh seeds."""
    found, measure = winner.evaluation, settings.measure
    assert found
    return GenomeRecord(
        genome=winner.genome,
        loss=found.last_loss,
        generation=winner.generation,
        objective=settings.objective,
        head=settings.head,
        fitness=settings.fitness,
        val_loss=fmean(each.val_loss for each in fresh if each.val_loss is not None),
        contamination=settings.contamination.get("validation") or None,
        score=fmean(e.scores[measure] for e in fresh if e.scores) if measure else None,
        seed=settings.seed,
        data_sha256=settings.data_sha256,
    )
