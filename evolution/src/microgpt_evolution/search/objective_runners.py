"""The runs of each objective: choose the winner, and write evolve-rust's log and trace."""

from collections.abc import Mapping, Sequence
from time import perf_counter

from microgpt_evolution.evolve_rust import aesthetic_log, hydra_log, loss_log, loss_log_end, trace
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.fitness import target
from microgpt_evolution.objectives.hydra_heads import HeadName
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.search.aesthetic_search import JUDGE
from microgpt_evolution.search.archive import Archive
from microgpt_evolution.search.hydra_search import HEAD_GENERATIONS, Hydra
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.runner import SearchRunner
from microgpt_evolution.search.selection import Candidate, Winner, best_for, best_for_all
from microgpt_evolution.seeds import training_seed


class LossRunner(SearchRunner):
    """A run of a loss evolution."""

    search: LossSearch
    target = target("last-doc")  # the fitness to get below; for held-out, set when the run begins
    _is_reached = False

    def _begin(self) -> None:
        settings = self.settings
        if settings.fitness == "held-out":
            seed = training_seed(settings.seed, 0, 0)
            primordial = Trial(PRIMORDIAL, seed, "g0-0", "primordial")
            (evaluation,) = self._measure("primordial", [primordial])
            self.target = target("held-out", evaluation.fitness)
        self._log(*loss_log.header(settings, self.target, self.evaluator.records.log))
        if settings.warm_start:
            self._listeners.trace(trace.descended(self.search.organisms))

    def _generation(self, number: int, started: float) -> None:
        search = self.search
        self._log(loss_log.generation_start(number, self.settings.generations))
        self._listeners.trace(trace.evaluating(search.organisms))
        for organism in search.organisms:
            self._listeners.trace(trace.started(organism))
        self._evaluate_generation()
        ranked = search.organisms
        self._log(*loss_log.ranking(ranked))
        if ranked[0].fitness < self.target and not self._is_reached:
            self._is_reached = True
            self._log(loss_log.target_reached(self.target))
        self._log(
            *loss_log.summary(
                ranked,
                stagnation=search.stagnation,
                n_blacklisted=len(search.blacklist.species),
                seconds=perf_counter() - started,
            )
        )

    def _breed(self) -> None:
        ranked, stagnation = self.search.organisms, self.search.stagnation
        self.search.breed()
        stage, n_blacklisted = self.search.stage, len(self.search.blacklist.species)
        self._log(*loss_log.event(stage, stagnation))
        for line in trace.bred(stage, ranked, self.search.organisms, n_blacklisted):
            self._listeners.trace(line)

    def _end(self, candidates: Sequence[Candidate]) -> Winner | None:
        generations, blacklist = self.search.generations, self.search.blacklist
        seconds = perf_counter() - self._started
        report = loss_log_end.end_report(
            generations, target=self.target, blacklist=blacklist, seconds=seconds
        )
        self._log(*report)
        if not candidates:
            return None
        candidates = sorted(candidates, key=lambda candidate: candidate.mean(None))
        self._log("", "--- Measured Again With Fresh Seeds ---")
        for place, candidate in enumerate(candidates, start=1):
            genome, origin = candidate.organism.genome.describe(), candidate.organism.origin
            self._log(f"  {place}. {candidate.describe(None)} | {genome} [{origin}]")
        return Winner(candidates[0].organism)


class AestheticRunner(SearchRunner):
    """A run of an aesthetic evolution."""

    def _begin(self) -> None:
        self._log(*aesthetic_log.header(self.settings, self.evaluator.records.log))

    def _generation(self, number: int, started: float) -> None:
        self._log(*aesthetic_log.generation_start(number, self.settings.generations))
        self._listeners.trace(trace.evaluating(self.search.organisms))
        self._evaluate_generation()
        ranked = self.search.organisms
        for organism in sorted(ranked, key=lambda organism: organism.slot):
            self._log(*aesthetic_log.organism(organism))
        self._log(*aesthetic_log.generation_end(ranked, perf_counter() - started))

    def _end(self, candidates: Sequence[Candidate]) -> Winner | None:
        if not candidates:
            return None
        winner = best_for(JUDGE, candidates)
        self._log(*aesthetic_log.finalists(candidates, winner, JUDGE))
        return Winner(winner.organism, JUDGE)


class HydraRunner(SearchRunner):
    """A run of the Hydra."""

    search: Hydra
    winners: Mapping[HeadName, Candidate]  # of each head, by the retest; set at the end

    def _begin(self) -> None:
        self.archives = {name: Archive() for name in self.search.heads}
        self._log(*hydra_log.header(self.settings, self.evaluator.records.log))

    def _generation(self, number: int, started: float) -> None:
        search = self.search
        self._log(*hydra_log.cycle_start(number, self.settings.generations))
        for generation in range(HEAD_GENERATIONS):
            if generation:
                search.breed()
            self._listeners.trace(trace.evaluating(search.organisms))
            self._evaluate_generation()
            for name, population in search.heads.items():
                self._log(hydra_log.top(name, population.organisms))
                for organism in population.organisms:
                    n_params = self.evaluator.objective.n_params(organism.genome)
                    self.archives[name].add(organism, n_params=n_params)
        self._log(*hydra_log.champions(search.champions()))
        search.breed()
        self._log(*hydra_log.gathering())
        seconds = perf_counter() - started
        self._log(*hydra_log.cycle_end(search.organisms, self.archives, seconds))

    def _breed(self) -> None:
        """Do nothing: the gathering at the end of a cycle has begun the next generation."""

    def _end(self, candidates: Sequence[Candidate]) -> Winner | None:
        by_seed = {candidate.organism.seed: candidate for candidate in candidates}
        self.winners = {
            head: best_for(head, [by_seed[organism.seed] for organism in organisms])
            for head, organisms in self.search.met.items()
            if organisms
        }
        heads, head = list(self.search.heads), self.settings.head
        if not self.winners or (head and head not in self.winners):
            return None
        winner = self.winners[head] if head else best_for_all(heads, candidates)
        self._log(*hydra_log.ascended(self.winners))
        self._log(*hydra_log.chosen(winner, heads, head))
        return Winner(winner.organism, head or JUDGE, head)  # the judge scores all qualities


RUNNERS: Mapping[str, type[SearchRunner]] = {
    "loss": LossRunner,
    "aesthetic": AestheticRunner,
    "hydra": HydraRunner,
}
