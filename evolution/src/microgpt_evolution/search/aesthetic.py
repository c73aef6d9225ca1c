"""An aesthetic evolution from its first generation to its winner.

It puts the parts together, as `LossEvolution` does, and writes what the source's log says. This
module prints nothing.
"""

from random import Random
from time import perf_counter

from microgpt_evolution.evolve_rust import aesthetic_report, trace
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.trial import N_REPEATS, Trial, all_again, of_each
from microgpt_evolution.population import Organism
from microgpt_evolution.search.aesthetic_population import N_ELITES, AestheticPopulation
from microgpt_evolution.search.events import SearchEvent, Stage
from microgpt_evolution.search.finalists import N_FINALISTS, choose
from microgpt_evolution.search.runner import Audience, Member, SearchRunner
from microgpt_evolution.search.selection import Candidate, best_for
from microgpt_evolution.search.winner import Winner

MEASURE = "judge"
POPULATION = "champion"  # the one that there is, by what is shown of it


class AestheticEvolution(SearchRunner):
    """One run.

    Attributes:
        colony: the population, which can be looked at while it runs.
        history: the generations so far, each ranked.
    """

    def __init__(
        self,
        laboratory: CachedEvaluator,
        audience: Audience,
        *,
        population: int,
        generations: int,
        n_samples: int,
        ancestor: Genome | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            laboratory: where organisms are measured.
            audience: who is told.
            population: organisms in a generation.
            generations: as many as it runs for.
            n_samples: the names of a vote.
            ancestor: is in the first generation, with mutants of it.
        """
        super().__init__(laboratory, audience)
        seed = laboratory.run_seed
        self.colony = AestheticPopulation(
            measure=MEASURE, size=population, run_seed=seed, rng=Random(seed), ancestor=ancestor
        )
        self.history: list[list[Organism]] = []
        self._population, self._generations, self._n_samples = population, generations, n_samples

    def run(self, minutes: float | None = None) -> Winner | None:
        """Return the winner; None if nothing has finished.

        Args:
            minutes: begin no generation after so long.
        """
        started = perf_counter()
        self._say(
            aesthetic_report.header(
                log=str(self.laboratory.records.log),
                population=self._population,
                generations=self._generations,
                n_samples=self._n_samples,
                seed=self.laboratory.run_seed,
            )
        )
        for number in range(1, self._generations + 1):
            self._generation(number)
            is_late = minutes is not None and perf_counter() - started > 60 * minutes
            if number == self._generations or is_late:
                break
            self.colony.breed()
        return self._confirm()

    def _generation(self, number: int) -> None:
        started = perf_counter()
        self._say(aesthetic_report.generation_start(number, self._generations))
        self._tell(trace.evaluating(self.colony.organisms))
        todo = self.colony.to_evaluate()
        found = self._measure(
            self._stage("generation"),
            [Trial.of(organism) for organism in todo],
            [Member(organism, POPULATION, self.colony.seen) for organism in todo],
        )
        ranked = self.colony.tell(found)
        self.history.append(ranked)
        for organism in sorted(ranked, key=lambda organism: organism.slot):
            self._say(aesthetic_report.organism(organism))
        self._say(aesthetic_report.generation_end(ranked, perf_counter() - started))

    def _confirm(self) -> Winner | None:
        """Return the best of the finalists, which are measured again with fresh seeds."""
        finalists = choose(self.history)
        if not finalists:
            return None
        again = self._measure(self._stage("again"), all_again(finalists, self.laboratory.run_seed))
        candidates = [
            Candidate.of(organism, more)
            for organism, more in zip(finalists, of_each(again), strict=True)
        ]
        winner = best_for(MEASURE, candidates)
        self._say(aesthetic_report.finalists(candidates, winner, MEASURE))
        return Winner(winner.organism, MEASURE)

    def _stage(self, stage: Stage) -> SearchEvent:
        """Return where the run is."""
        organisms = self.colony.organisms
        n_bred = self._generations - self.colony.generation if stage == "generation" else 0
        n_again = N_FINALISTS * N_REPEATS if stage == "generation" else 0
        return SearchEvent(
            stage,
            generation=self.colony.generation,
            organisms=organisms,
            n_later=n_bred * max(len(organisms) - N_ELITES, 0) + n_again,
            champions={POPULATION: self.history[-1][0]} if self.history else {},
        )
