"""Listeners that write the log and the trace of a search as evolve-rust does."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

from microgpt_evolution.evolve_rust import aesthetic_log, hydra_log, loss_log, loss_log_end, trace
from microgpt_evolution.objectives.fitness import target
from microgpt_evolution.population import Organism
from microgpt_evolution.search.aesthetic_search import JUDGE
from microgpt_evolution.search.archive import Archive
from microgpt_evolution.search.hydra_search import Hydra
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.runner import Listener, SearchRunner
from microgpt_evolution.search.selection import Candidate, Winner, head_winners

Write = Callable[[str], None]


class _Log(Listener):
    """Writes lines, and knows when the search and its current cycle began."""

    def __init__(self, write: Write) -> None:
        self._write_line = write
        self._started = self._cycle_started = perf_counter()

    def generation_begun(self, run: SearchRunner) -> None:
        """Write the heading at the beginning of a cycle."""
        cycle, is_within = divmod(run.search.generation - 1, run.settings.cycle)
        if not is_within:
            self._cycle_started = perf_counter()
            self._heading(run, cycle + 1)

    def _heading(self, run: SearchRunner, number: int) -> None:
        raise NotImplementedError

    def _write(self, *lines: str) -> None:
        for line in lines:
            self._write_line(line)

    @property
    def _seconds(self) -> float:
        """The seconds since the cycle began."""
        return perf_counter() - self._cycle_started


class LossLog(_Log):
    """The log of a loss search."""

    target = 0.0  # fitness that is worth a line; set when the search begins
    _is_reached = False

    def begun(self, run: SearchRunner) -> None:
        """Write the header, with the target."""
        settings, space = run.settings, run.settings.space
        if space and space.target is not None:
            self.target = space.target
        elif settings.fitness:
            primordial = run.primordial.fitness if run.primordial else None
            self.target = target(settings.fitness, primordial)
        self._write(*loss_log.header(settings, self.target, run.evaluator.records.log))

    def _heading(self, run: SearchRunner, number: int) -> None:
        search = _loss_search(run)
        if number > 1:
            self._write(*loss_log.event(search.stage, self._stagnation))
        self._write(loss_log.generation_start(number, run.settings.generations))

    def generation_ended(self, run: SearchRunner) -> None:
        """Write the ranking and a summary."""
        search = _loss_search(run)
        ranked, self._stagnation = search.organisms, search.stagnation
        self._write(*loss_log.ranking(ranked))
        if ranked[0].fitness < self.target and not self._is_reached:
            self._is_reached = True
            self._write(loss_log.target_reached(self.target))
        n_blacklisted = len(search.blacklist.species)
        self._write(
            *loss_log.summary(
                ranked,
                stagnation=search.stagnation,
                n_blacklisted=n_blacklisted,
                seconds=self._seconds,
            )
        )

    def ended(
        self, run: SearchRunner, candidates: Sequence[Candidate], winner: Winner | None
    ) -> None:
        """Write the report on all generations, and the retest."""
        search = _loss_search(run)
        self._write(
            *loss_log_end.end_report(
                search.generations,
                target=self.target,
                blacklist=search.blacklist,
                seconds=perf_counter() - self._started,
            )
        )
        if not candidates:
            return
        self._write("", loss_log_end.RETESTED)
        ranked = sorted(candidates, key=lambda candidate: candidate.mean(None))
        for place, candidate in enumerate(ranked, start=1):
            genome, origin = candidate.organism.genome.describe(), candidate.organism.origin
            self._write(f"  {place}. {candidate.describe(None)} | {genome} [{origin}]")


class AestheticLog(_Log):
    """The log of an aesthetic search."""

    def begun(self, run: SearchRunner) -> None:
        """Write the header."""
        self._write(*aesthetic_log.header(run.settings, run.evaluator.records.log))

    def _heading(self, run: SearchRunner, number: int) -> None:
        self._write(*aesthetic_log.generation_start(number, run.settings.generations))

    def generation_ended(self, run: SearchRunner) -> None:
        """Write each organism, and the champion."""
        ranked = run.search.organisms
        for organism in sorted(ranked, key=lambda organism: organism.slot):
            self._write(*aesthetic_log.organism(organism))
        self._write(*aesthetic_log.generation_end(ranked, self._seconds))

    def ended(
        self, run: SearchRunner, candidates: Sequence[Candidate], winner: Winner | None
    ) -> None:
        """Write the retest."""
        if winner:
            self._write(*aesthetic_log.finalists(candidates, winner.organism, JUDGE))


class HydraLog(_Log):
    """The log of a Hydra search."""

    def begun(self, run: SearchRunner) -> None:
        """Write the header."""
        self._archives = {name: Archive() for name in _hydra(run).heads}
        self._write(*hydra_log.header(run.settings, run.evaluator.records.log))

    def _heading(self, run: SearchRunner, number: int) -> None:
        self._write(*hydra_log.cycle_start(number, run.settings.generations))

    def generation_ended(self, run: SearchRunner) -> None:
        """Write the best score of each head; at the end of a cycle, also the exchange."""
        search = _hydra(run)
        for name, population in search.heads.items():
            ranked = population.generations[-1]
            self._write(hydra_log.top(name, ranked))
            for organism in ranked:
                n_params = run.evaluator.objective.n_params(organism.genome)
                self._archives[name].add(organism, n_params=n_params)
        if search.has_exchanged:
            self._write(*hydra_log.champions(search.met), *hydra_log.gathering())
            self._write(*hydra_log.cycle_end(search.organisms, self._archives, self._seconds))

    def ended(
        self, run: SearchRunner, candidates: Sequence[Candidate], winner: Winner | None
    ) -> None:
        """Write the champions and the winner."""
        if winner:
            search, head = _hydra(run), run.settings.head
            winners = head_winners(search, candidates)
            chosen = next(c for c in candidates if c.organism is winner.organism)
            self._write(*hydra_log.ascended(winners))
            self._write(*hydra_log.chosen(chosen, list(search.heads), head))


LOGS: Mapping[str, Callable[[Write], Listener]] = {
    "loss": LossLog, "aesthetic": AestheticLog, "hydra": HydraLog,
}  # fmt: skip


class Trace(Listener):
    """The trace: one line per organism; in a loss search, also how it was bred."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def begun(self, run: SearchRunner) -> None:
        """Write the origins of the first generation after a warm start."""
        if run.settings.warm_start and isinstance(run.search, LossSearch):
            self._write(trace.descended(run.search.organisms))

    def generation_begun(self, run: SearchRunner) -> None:
        """Write the number of organisms; in a loss search, also their genomes."""
        search, organisms = run.search, run.search.organisms
        lines = [trace.evaluating(organisms)]
        if isinstance(search, LossSearch):
            if search.generations:
                n, ranked = len(search.blacklist.species), search.generations[-1]
                lines = [*trace.bred(search.stage, ranked, organisms, n), *lines]
            lines += map(trace.started, organisms)
        for line in lines:
            self._write(line)

    def evaluated(self, run: SearchRunner, organism: Organism) -> None:
        """Write the fitness of an organism, or why it has none."""
        evaluation = organism.evaluation
        assert evaluation
        self._write(trace.done(organism, evaluation.seconds, evaluation.reason))


def _loss_search(run: SearchRunner) -> LossSearch:
    assert isinstance(run.search, LossSearch)
    return run.search


def _hydra(run: SearchRunner) -> Hydra:
    assert isinstance(run.search, Hydra)
    return run.search
