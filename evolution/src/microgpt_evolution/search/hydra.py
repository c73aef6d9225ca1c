"""A run of the Hydra, from the first cycle to the genome.

It puts the parts together, as `LossEvolution` does: the heads evolve apart, but side by side in the
laboratory. This module prints nothing.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter

from microgpt_evolution.evolve_rust import hydra_report, trace
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.heads import HEADS, HeadName
from microgpt_evolution.objectives.trial import N_REPEATS, Trial, all_again, of_each
from microgpt_evolution.population import Organism
from microgpt_evolution.search.aesthetic_population import N_ELITES
from microgpt_evolution.search.archive import Archive
from microgpt_evolution.search.events import SearchEvent, Stage
from microgpt_evolution.search.hydra_population import Hydra
from microgpt_evolution.search.runner import Audience, Member, SearchRunner
from microgpt_evolution.search.selection import Candidate, best_for, best_for_all
from microgpt_evolution.search.winner import Winner

HEAD_GENERATIONS = 3  # in isolation, before the heads meet


class HydraEvolution(SearchRunner):
    """One run.

    Attributes:
        hydra: the heads, which can be looked at while they evolve.
        archives: what each head has seen.
        champions: of each head that has one, the best of those that came to the last gathering;
            known at the end.
    """

    def __init__(
        self,
        laboratory: CachedEvaluator,
        audience: Audience,
        hydra: Hydra,
        *,
        cycles: int,
        vocab_size: int,
        head: HeadName | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            laboratory: where organisms are measured.
            audience: who is told.
            hydra: at its beginning.
            cycles: as many as it runs for.
            vocab_size: the tokens that a model knows.
            head: whose champion wins; by default the best for all.
        """
        super().__init__(laboratory, audience)
        self.hydra = hydra
        self.archives = {name: Archive() for name in hydra.heads}
        self.champions: dict[HeadName, Candidate] = {}
        self._first: dict[int, Organism] = {}  # as it was bred, before it was an elite or a guest
        self._cycles, self._vocab_size, self._head = cycles, vocab_size, head

    def run(self, minutes: float | None = None) -> Winner | None:
        """Return the winner; None if nothing has finished, or nothing of the head asked for.

        Args:
            minutes: begin no cycle after so long.
        """
        started = perf_counter()
        self._say(
            hydra_report.header(
                log=str(self.laboratory.records.log),
                heads=list(self.hydra.heads),
                cycles=self._cycles,
                exchange=self.hydra.exchange,
                seed=self.laboratory.run_seed,
            )
        )
        champions: dict[HeadName, list[Organism]] = {}
        for number in range(1, self._cycles + 1):
            champions = self._cycle(number)
            if minutes is not None and perf_counter() - started > 60 * minutes:
                break
        return self._ascend(champions)

    def _cycle(self, number: int) -> dict[HeadName, list[Organism]]:
        """Return the champions of a cycle, which have met."""
        started = perf_counter()
        self._say(hydra_report.cycle_start(number, self._cycles))
        for generation in range(HEAD_GENERATIONS):
            if generation:
                self.hydra.breed()
            self._generation()
        champions = self.hydra.champions()
        self._say(hydra_report.champions(champions))
        self.hydra.gather()
        self._say(hydra_report.gathering())
        self._say(
            hydra_report.cycle_end(self.hydra.organisms, self.archives, perf_counter() - started)
        )
        return champions

    def _generation(self) -> None:
        """Measure a generation of all heads together, so that workers serve all of them."""
        self._tell(trace.evaluating(self.hydra.organisms))
        todo = {name: colony.to_evaluate() for name, colony in self.hydra.heads.items()}
        found = self._measure(
            self._stage("generation"),
            [Trial.of(organism) for organisms in todo.values() for organism in organisms],
            [
                Member(organism, HEADS[name].title, self.hydra.heads[name].seen)
                for name, organisms in todo.items()
                for organism in organisms
            ],
        )
        self.hydra.tell(found)
        for name, colony in self.hydra.heads.items():
            self._log(hydra_report.top(name, colony.organisms))
            for organism in colony.organisms:
                self._first.setdefault(organism.seed, organism)
                if organism.evaluation and organism.evaluation.vote:
                    self.archives[name].add(
                        organism,
                        n_params=organism.genome.n_params(self._vocab_size),
                        novelty=organism.evaluation.vote.novel,
                    )

    def _ascend(self, champions: Mapping[HeadName, Sequence[Organism]]) -> Winner | None:
        """Measure those that came to the last gathering again, and say who has won."""
        seeds = {o.seed: None for found in champions.values() for o in found}  # in their order
        everyone = [self._first[seed] for seed in seeds]
        again = self._measure(self._stage("again"), all_again(everyone, self.laboratory.run_seed))
        candidates = {
            organism.seed: Candidate.of(organism, more)
            for organism, more in zip(everyone, of_each(again), strict=True)
        }
        self.champions = {
            head: best_for(head, [candidates[o.seed] for o in found])
            for head, found in champions.items()
            if found
        }
        if not self.champions or (self._head and self._head not in self.champions):
            return None
        winner = self.champions[self._head] if self._head else (
            best_for_all(list(self.hydra.heads), list(candidates.values()))
        )  # fmt: skip
        self._say(hydra_report.ascended(self.champions))
        self._say(hydra_report.chosen(winner, list(self.hydra.heads), self._head))
        measure = self._head or "judge"  # which knows all heads' concerns
        return Winner(winner.organism, measure, self._head)

    def _stage(self, stage: Stage) -> SearchEvent:
        """Return where the run is."""
        heads = self.hydra.heads
        generation = min(colony.generation for colony in heads.values())
        n_bred = self._cycles * HEAD_GENERATIONS - generation
        n_born = sum(max(len(colony.organisms) - N_ELITES, 0) for colony in heads.values())
        n_again = N_ELITES * len(heads) * N_REPEATS
        return SearchEvent(
            stage,
            generation=min(generation, self._cycles * HEAD_GENERATIONS),
            organisms=self.hydra.organisms,
            n_later=n_bred * n_born + n_again if stage == "generation" else 0,
            champions={
                HEADS[name].title: organisms[0]
                for name, organisms in self.hydra.champions(1).items()
                if organisms
            },
        )
