"""A loss evolution from its first generation to its winner.

It puts the parts together: the search asks, a pool of workers measures in the arena, the records
remember, and the log says what happened, line by line. This module prints nothing.
"""

from collections.abc import Sequence
from time import perf_counter

from microgpt_evolution.evolve_rust import end_report, loss_report, trace
from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.fitness import Fitness, target
from microgpt_evolution.objectives.trial import N_REPEATS, Trial, all_again, of_each
from microgpt_evolution.population import Organism
from microgpt_evolution.search.events import SearchEvent, Stage
from microgpt_evolution.search.finalists import N_FINALISTS, Finalist, choose
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.runner import Audience, Member, SearchRunner
from microgpt_evolution.search.winner import Winner
from microgpt_evolution.seeds import training_seed

POPULATION = "champion"  # the one that there is, by what is shown of it


class LossEvolution(SearchRunner):
    """One run.

    Attributes:
        search: the search, which can be looked at while it runs.
        target: the fitness to get below, once it is known.
    """

    def __init__(
        self,
        laboratory: CachedEvaluator,
        audience: Audience,
        *,
        fitness: Fitness,
        population: int,
        generations: int,
        ancestor: Genome | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            laboratory: where organisms are measured.
            audience: who is told.
            fitness: the measure.
            population: organisms in a generation.
            generations: as many as it runs for.
            ancestor: is in the first generation, with mutants of it.
        """
        super().__init__(laboratory, audience)
        self.population, self.generations, self.ancestor = population, generations, ancestor
        self.search = LossSearch(
            population=population, fitness=fitness, seed=laboratory.run_seed, ancestor=ancestor
        )
        self.target = target("last-doc")
        self._fitness, self._is_reached = fitness, False

    def run(self, minutes: float | None = None) -> Winner | None:
        """Return the winner; None if nothing has finished.

        Args:
            minutes: begin no generation after so long.
        """
        started = perf_counter()
        seed = self.laboratory.run_seed
        if self._fitness == "held-out":
            primordial = Trial("g0-0", "primordial", (), PRIMORDIAL, training_seed(seed, 0, 0))
            (evaluation,) = self._measure(self._stage("primordial"), [primordial])
            self.target = target("held-out", evaluation.fitness)
        self._say(
            loss_report.header(
                log=str(self.laboratory.records.log),
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
        return Winner(finalists[0].organism) if finalists else None

    def _generation(self, number: int) -> list[Organism]:
        started = perf_counter()
        self._log(loss_report.generation_start(number, self.generations))
        population = self.search.population
        self._tell(trace.evaluating(population))
        for organism in population:
            self._tell(trace.started(organism))
        todo = self.search.to_evaluate()
        trials = [Trial.of(organism) for organism in todo]
        members = [Member(organism, POPULATION) for organism in todo]
        ranked = self.search.tell(self._measure(self._stage("generation"), trials, members))
        self._say(loss_report.ranking(ranked))
        if ranked[0].fitness < self.target and not self._is_reached:
            self._is_reached = True
            self._log(loss_report.target_reached(self.target))
        self._say(
            loss_report.summary(
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
        self._say(loss_report.event(rung, stagnation))
        n_blacklisted = len(self.search.blacklist.species)
        for line in trace.bred(rung, ranked, self.search.population, n_blacklisted):
            self._tell(line)

    def _confirm(self) -> list[Finalist]:
        """Return the best, measured again with fresh seeds."""
        finalists = choose(self.search.generations)
        trials = all_again(finalists, self.laboratory.run_seed)
        again = self._measure(self._stage("again"), trials)
        found = [
            Finalist(organism, (organism.fitness, *(e.fitness for e in more)))
            for organism, more in zip(finalists, of_each(again), strict=True)
        ]
        return sorted(found, key=lambda finalist: finalist.mean)

    def _stage(self, stage: Stage) -> SearchEvent:
        """Return where the run is."""
        told = self.search.generations
        return SearchEvent(
            stage,
            generation=self.search.population[0].generation,
            organisms=self.search.population,
            n_later=self._count_later(stage),
            champions={POPULATION: told[-1][0]} if told else {},
            stagnation=self.search.ladder.stagnation,
        )

    def _count_later(self, stage: Stage) -> int:
        """Return how many evaluations come after a stage, if the search does not get stuck."""
        generation = self.search.population[0].generation
        n_bred = {"primordial": self.generations, "generation": self.generations - generation}
        n_later = n_bred.get(stage, 0) * (self.population - 1)  # there will be an elite
        return n_later + (0 if stage == "again" else N_FINALISTS * N_REPEATS)
