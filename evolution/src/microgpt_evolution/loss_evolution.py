"""A loss evolution from its first generation to its winner.

It puts the parts together: the search asks, a pool of workers measures in the arena, the records
remember, and the log says what happened, line by line. This module prints nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from threading import Event
from time import perf_counter

from microgpt_evolution import end_report, interval, report, trace
from microgpt_evolution.arena import Arena
from microgpt_evolution.driver import Outcome, evaluate_all
from microgpt_evolution.fitness import target
from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.loss_search import LossSearch
from microgpt_evolution.parcel import Parcel
from microgpt_evolution.pools import Pool, Threads
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.records import Records
from microgpt_evolution.seeds import training_seed

N_FINALISTS, N_REPEATS = 3, 2  # the best, and how often each is measured once more
N_FRESH = 2  # seeds that the winner is judged by, besides that of the run
DIVERGED = "its loss was no longer a finite number"


@dataclass(frozen=True)
class Finalist:
    """One of the best, measured with several seeds.

    Attributes:
        organism: as the search found it.
        losses: its fitness with each seed; the first is the search's own.
    """

    organism: Organism
    losses: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean fitness."""
        return fmean(self.losses)

    def line(self, place: int) -> str:
        """Return what the log says of it."""
        organism = self.organism
        described = f"{organism.genome.describe()} [{organism.origin}]"
        return f"  {place}. {interval.describe(self.losses)} | {described}"

    def fresh_seeds(self, run_seed: int) -> list[int]:
        """Return the seeds to judge it by: the run's, which trained nobody, and two new ones."""
        organism, first = self.organism, N_REPEATS + 1
        repeats = range(first, first + N_FRESH)
        place = run_seed, organism.generation, organism.slot
        return [run_seed, *(training_seed(*place, repeat) for repeat in repeats)]


@dataclass(frozen=True)
class _Trial:
    """A training that is to be measured, and what it is called."""

    id: str
    origin: str
    parents: tuple[str, ...]
    genome: Genome
    seed: int


@dataclass(frozen=True)
class _Measured:
    evaluation: Evaluation
    seconds: float


class LossEvolution:
    """One run.

    Attributes:
        search: the search, which can be looked at while it runs.
        target: the fitness to get below, once it is known.
    """

    def __init__(
        self,
        arena: Arena,
        pool: Pool,
        records: Records,
        *,
        population: int,
        generations: int,
        seed: int,
        log: Callable[[str], None],
        tell: Callable[[str], None],
        should_stop: Event,
    ) -> None:
        """Prepare a run.

        Args:
            arena: where organisms are measured.
            pool: who measures them.
            records: what has been measured, and what will be.
            population: organisms in a generation.
            generations: as many as it runs for.
            seed: of the run.
            log: is called with each line of the log.
            tell: is called with each line of the trace.
            should_stop: set it to end early.
        """
        self.arena, self.pool, self.records = arena, pool, records
        self.generations, self.seed = generations, seed
        self.population = population
        self.search = LossSearch(population=population, fitness=arena.fitness, seed=seed)
        self.target = target("last-doc")
        self._log, self._tell, self._should_stop = log, tell, should_stop
        self._is_reached = False
        # Other processes cannot see the event; they are ended.
        is_here = isinstance(pool, Threads)
        work = partial(measure, arena, should_stop.is_set if is_here else None)
        self._work = work if is_here else Parcel.of(work)

    def run(self, minutes: float | None = None) -> Finalist | None:
        """Return the winner; None if nothing has finished.

        Args:
            minutes: begin no generation after so long.
        """
        started = perf_counter()
        if self.arena.fitness == "held-out":
            primordial = _Trial(
                "g0-0", "primordial", (), PRIMORDIAL, training_seed(self.seed, 0, 0)
            )
            (evaluation,) = self._measure([primordial])
            self.target = target("held-out", evaluation.fitness)
        self._say(
            report.header(
                log=str(self.records.log),
                fitness=self.arena.fitness,
                target=self.target,
                population=self.population,
                generations=self.generations,
                seed=self.seed,
            )
        )
        for number in range(1, self.generations + 1):
            ranked = self._generation(number)
            is_late = minutes is not None and perf_counter() - started > 60 * minutes
            if number == self.generations or is_late:
                break
            self._breed(ranked)
        finalists = self._confirm()
        self._say(
            end_report.end_report(
                self.search.generations,
                target=self.target,
                blacklist=self.search.blacklist,
                seconds=perf_counter() - started,
            )
        )
        if finalists:
            self._say(["", "--- Measured Again With Fresh Seeds ---"])
            self._say([finalist.line(place) for place, finalist in enumerate(finalists, start=1)])
        return finalists[0] if finalists else None

    def _generation(self, number: int) -> list[Organism]:
        started = perf_counter()
        self._log(report.generation_start(number, self.generations))
        population = self.search.population
        self._tell(trace.evaluating(population))
        for organism in population:
            self._tell(trace.started(organism))
        todo = self.search.to_evaluate()
        trials = [_Trial(o.id, o.origin, o.parents, o.genome, o.seed) for o in todo]
        ranked = self.search.tell(self._measure(trials, todo))
        self._say(report.ranking(ranked))
        if ranked[0].fitness < self.target and not self._is_reached:
            self._is_reached = True
            self._log(report.target_reached(self.target))
        self._say(
            report.summary(
                ranked,
                stagnation=self.search.ladder.stagnation,
                n_blacklisted=len(self.search.blacklist.species),
                seconds=perf_counter() - started,
            )
        )
        return ranked

    def _breed(self, ranked: Sequence[Organism]) -> None:
        stagnation = self.search.ladder.stagnation
        rung = self.search.breed()
        self._say(report.event(rung, stagnation))
        n_blacklisted = len(self.search.blacklist.species)
        for line in trace.bred(rung, ranked, self.search.population, n_blacklisted):
            self._tell(line)

    def _confirm(self) -> list[Finalist]:
        """Measure the best again, each with fresh seeds: the lowest loss of many is partly luck."""
        everyone = (o for ranked in self.search.generations for o in ranked if o.has_finished)
        best: dict[Genome, Organism] = {}
        for organism in sorted(everyone, key=lambda o: o.fitness):
            best.setdefault(organism.genome, organism)
        finalists = list(best.values())[:N_FINALISTS]
        trials = [
            _Trial(f"{o.id}-again{i}", "confirm", (o.id,), o.genome, self._fresh_seed(o, i))
            for o in finalists
            for i in range(1, N_REPEATS + 1)
        ]
        again = self._measure(trials)
        found = []
        for place, organism in enumerate(finalists):
            more = again[place * N_REPEATS : (place + 1) * N_REPEATS]
            losses = (organism.fitness, *(e.fitness for e in more if e.status == "ok"))
            found.append(Finalist(organism, losses))
        return sorted(found, key=lambda finalist: finalist.mean)

    def _fresh_seed(self, organism: Organism, repeat: int) -> int:
        return training_seed(self.seed, organism.generation, organism.slot, repeat)

    def _measure(
        self, trials: Sequence[_Trial], organisms: Sequence[Organism] = ()
    ) -> list[Evaluation]:
        """Return the evaluations of trainings; those that are on record are not done again."""
        known = [self.records.known(trial.genome, trial.seed) for trial in trials]
        open_places = [i for i, evaluation in enumerate(known) if evaluation is None]

        def note(place: int, outcome: Outcome[_Measured]) -> None:
            if self._should_stop.is_set():
                return  # it may have ended because of that
            i = open_places[place]
            trial = trials[i]
            evaluation, seconds = Evaluation("crashed"), 0.0
            if outcome.result:
                evaluation, seconds = outcome.result.evaluation, outcome.result.seconds
            known[i] = evaluation
            self.records.add(
                trial.id,
                trial.origin,
                trial.parents,
                trial.genome,
                trial.seed,
                evaluation,
                flops=self.arena.flops(trial.genome),
                seconds=seconds,
            )
            if organisms:
                done = replace(organisms[i], evaluation=evaluation)
                reason = outcome.error or self.arena.refusal(trial.genome) or DIVERGED
                self._tell(trace.done(done, seconds, reason))

        evaluate_all(
            self._work,
            [trials[i] for i in open_places],
            self.pool,
            on_outcome=note,
            should_stop=self._should_stop,
        )
        return [evaluation for evaluation in known if evaluation]

    def _say(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._log(line)


def measure(arena: Arena, should_stop: Callable[[], bool] | None, trial: _Trial) -> _Measured:
    """Train and measure an organism, and say how long it took."""
    started = perf_counter()
    evaluation = arena.measure(trial.genome, trial.seed, should_stop)
    return _Measured(evaluation, perf_counter() - started)
