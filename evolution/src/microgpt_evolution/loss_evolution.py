"""A loss evolution from its first generation to its winner.

It puts the parts together: the search asks, a pool of workers measures in the arena, the records
remember, and the log says what happened, line by line. This module prints nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from microgpt_evolution import end_report, report, trace
from microgpt_evolution.finalists import Finalist, choose
from microgpt_evolution.fitness import Fitness, target
from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.laboratory import Laboratory
from microgpt_evolution.loss_search import LossSearch
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.search_event import Follower, SearchEvent, Stage
from microgpt_evolution.seeds import training_seed
from microgpt_evolution.trial import Measured, Trial, all_again, of_each


class LossEvolution:
    """One run.

    Attributes:
        search: the search, which can be looked at while it runs.
        target: the fitness to get below, once it is known.
    """

    def __init__(
        self,
        laboratory: Laboratory,
        *,
        fitness: Fitness,
        population: int,
        generations: int,
        ancestor: Genome | None,
        log: Callable[[str], None],
        tell: Callable[[str], None],
        on_event: Callable[[SearchEvent], None],
    ) -> None:
        """Prepare a run.

        Args:
            laboratory: where organisms are measured.
            fitness: the measure.
            population: organisms in a generation.
            generations: as many as it runs for.
            ancestor: is in the first generation, with mutants of it.
            log: is called with each line of the log.
            tell: is called with each line of the trace.
            on_event: is told how far the run is.
        """
        self.population, self.generations, self.ancestor = population, generations, ancestor
        self.search = LossSearch(
            population=population, fitness=fitness, seed=laboratory.run_seed, ancestor=ancestor
        )
        self.target = target("last-doc")
        self._laboratory, self._fitness = laboratory, fitness
        self._log, self._tell = log, tell
        self._follower = Follower(self.search, generations, on_event)
        self._is_reached = False

    def run(self, minutes: float | None = None) -> Finalist | None:
        """Return the winner; None if nothing has finished.

        Args:
            minutes: begin no generation after so long.
        """
        started = perf_counter()
        seed = self._laboratory.run_seed
        if self._fitness == "held-out":
            primordial = Trial("g0-0", "primordial", (), PRIMORDIAL, training_seed(seed, 0, 0))
            (evaluation,) = self._measure("primordial", [primordial])
            self.target = target("held-out", evaluation.fitness)
        self._say(
            report.header(
                log=str(self._laboratory.records.log),
                fitness=self._fitness,
                target=self.target,
                population=self.population,
                generations=self.generations,
                seed=seed,
                ancestor=self.ancestor,
            )
        )
        if self.ancestor:
            self._tell(trace.descended(self.search.population))
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
        trials = [Trial.of(organism) for organism in todo]
        ranked = self.search.tell(self._measure("generation", trials, todo))
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
        """Return the best, measured again with fresh seeds."""
        finalists = choose(self.search.generations)
        again = self._measure("again", all_again(finalists, self._laboratory.run_seed))
        found = [
            Finalist(organism, (organism.fitness, *(e.fitness for e in more)))
            for organism, more in zip(finalists, of_each(again), strict=True)
        ]
        return sorted(found, key=lambda finalist: finalist.mean)

    def _measure(
        self, stage: Stage, trials: Sequence[Trial], organisms: Sequence[Organism] = ()
    ) -> list[Evaluation]:
        """Return what trials come to, and tell of those that are made.

        Args:
            stage: of the run.
            trials: to be made.
            organisms: that they are of, where they take part in the search.
        """

        def tell(i: int, measured: Measured, reason: str) -> None:
            done = None
            if organisms:
                done = replace(organisms[i], evaluation=measured.evaluation)
                self._tell(trace.done(done, measured.seconds, reason))
            self._follower.evaluated(done)

        self._follower.begin(stage, len(trials), self._laboratory.count_known(trials))
        return self._laboratory.measure(trials, tell)

    def _say(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._log(line)
