"""Run a budgeted search on a worker pool; the same budget and seed give the same winner."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from time import perf_counter, thread_time

from microgpt.data.split import Split
from microgpt.state import TrainResult, TrainState
from microgpt.training.train import train
from microgpt_evolution.budgeted.objective import EVALUATIONS, BudgetedObjective, Rung, RungResult
from microgpt_evolution.budgeted.records import BudgetedRecords
from microgpt_evolution.budgeted.search import Contestant, halving_search, rank
from microgpt_evolution.errors import NoWinnerError, StoppedError
from microgpt_evolution.seeds import training_seed
from microgpt_evolution.space import Space
from microgpt_evolution.workers.pickled_once import PickledOnce
from microgpt_evolution.workers.pools import Pool, Threads
from microgpt_evolution.workers.retrying_driver import Outcome, evaluate_all

STUDENT = "student"  # name of its state among those of the organisms


@dataclass(frozen=True)
class BudgetedEvent:
    """Progress of a budgeted search, sent when a rung begins and after each training run."""

    organisms: Sequence[Contestant]  # all organisms so far, the best first
    alive: Sequence[Contestant]  # organisms of the current rung
    until: int  # evaluation at which the rung ends
    n_done: int  # number of organisms that have been trained in this rung
    spent: float  # operations so far


@dataclass(frozen=True)
class _Trained:
    """The result of a rung and its duration."""

    result: RungResult
    seconds: float
    cpu_seconds: float


class BudgetedSearch:
    """A search that is run or resumed."""

    def __init__(
        self,
        parts: Split,
        pool: Pool,
        records: BudgetedRecords,
        *,
        on_event: Callable[[BudgetedEvent], None],
        should_stop: Event | None = None,
    ) -> None:
        """Prepare a search with the settings in the records."""
        self._records, self._pool, self._on_event = records, pool, on_event
        self._stop, self.parts = should_stop or Event(), parts
        self.settings = settings = records.search
        self.objective = BudgetedObjective(
            replace(parts, test=()),  # the search never reads the test set
            settings.text,
            settings.operations,
            settings.max_weights,
            settings.max_bytes,
        )
        self.organisms: dict[str, Contestant] = {}
        self.spent = 0.0  # operations so far
        is_here = isinstance(pool, Threads)  # only threads can poll the event
        work = partial(_run, self.objective, self._stop.is_set if is_here else None)
        self._work = work if is_here else PickledOnce.of(work)

    def run(self) -> None:
        """Train organisms until the budget is spent or the target is reached.

        Raises:
            StoppedError: should_stop was set.
        """
        settings, objective = self.settings, self.objective
        search = halving_search(
            Space(settings.values, settings.rates),
            settings.first,
            settings.budget - self._student_cost(),
            objective.cost,
            accepts=lambda genome: objective.refusal(genome) is None,
            seed=settings.seed,
        )
        request = next(search, None)
        while request and not self._is_target_reached():
            self._forget_all_but(request[0])
            losses = self._train(*request)
            try:
                request = search.send(losses)
            except StopIteration:
                return

    @property
    def best(self) -> Contestant | None:
        """The organism with the lowest loss so far."""
        return next(iter(rank([*self.organisms.values()])), None)

    def winner(self) -> tuple[Contestant, TrainResult]:
        """Return the best organism so far and its model, trained as far as the search has.

        Raises:
            NoWinnerError: no organism has a finite loss.
        """
        for best in rank([*self.organisms.values()]):
            if trained := self._trained(best):
                return best, trained
        raise NoWinnerError("no organism finished training; use other documents")

    def _trained(self, organism: Contestant) -> TrainResult | None:
        """Return the model of an organism, or None if its state is not recorded."""
        state = self._state(organism)
        if state is None:
            return None
        model, config = self.objective.settings(organism.genome, organism.seed)
        tokenizer = self.objective.tokens(organism.genome.vocab_size).tokenizer
        until = None if organism.is_complete else state.step
        return train(
            self.parts, model=model, config=config, tokenizer=tokenizer, resume=state, until=until
        )

    def teachers(self) -> list[TrainResult]:
        """Return the best models of different species that can teach the winner's size."""
        best = self.best
        assert best
        found: dict[str, TrainResult] = {}
        for organism in rank([*self.organisms.values()]):
            if len(found) == self.settings.distill:
                break
            genome, species = organism.genome, organism.genome.species
            can_teach = genome.vocab_size == best.genome.vocab_size
            can_teach = can_teach and genome.block_size >= best.genome.block_size
            if can_teach and species not in found and (trained := self._trained(organism)):
                found[species] = trained
        return [*found.values()]

    def student(self) -> TrainResult | None:
        """Train a model of the winner's size to predict as the best of different species do.

        Returns None if there are fewer than two teachers.

        Raises:
            StoppedError: should_stop was set. The next call continues.
        """
        best, teachers, records = self.best, self.teachers(), self._records
        if best is None or len(teachers) < 2:
            return None
        seed = training_seed(self.settings.seed, 0, 1)  # of no organism
        model, config = self.objective.settings(best.genome, seed)
        plan = replace(teachers[0].plan, model=model, config=config)
        result = train(
            self.parts,
            model=model,
            config=config,
            tokenizer=self.objective.tokens(best.genome.vocab_size).tokenizer,
            teachers=teachers,
            teacher_samples=self.settings.teacher_samples,
            resume=records.state(STUDENT),
            on_state=lambda state: records.keep(STUDENT, plan, state),
            should_stop=self._stop.is_set,
        )
        if result.ending == "stopped":
            raise StoppedError("stopped while the student was being trained")
        return result

    def _student_cost(self) -> float:
        """Return the operations to keep for a student of about the first genome's size."""
        settings, (first, *_) = self.settings, self.settings.first
        if not settings.distill:
            return 0.0
        teaching = self.objective.teaching_cost(first, settings.teacher_samples)
        return self.objective.cost(first, EVALUATIONS) + settings.distill * teaching

    def _is_target_reached(self) -> bool:
        best, target = self.best, self.settings.target
        return bool(target is not None and best and best.is_complete and best.loss <= target)

    def _forget_all_but(self, alive: Sequence[Contestant]) -> None:
        """Remove the states that are no longer needed: neither trained on nor among the best."""
        best: dict[str, Contestant] = {}  # of each species
        for organism in rank([*self.organisms.values()]):
            best.setdefault(organism.genome.species, organism)
        kept = list(best.values())[: max(1, self.settings.distill)]
        needed = {organism.id for organism in (*alive, *kept)}
        for organism in self.organisms.values():
            if organism.id not in needed:
                self._records.forget(organism)

    def _train(self, organisms: Sequence[Contestant], until: int) -> list[tuple[float, ...]]:
        """Train organisms up to an evaluation and return their new losses."""
        records = self._records
        found = [records.known(each, until) for each in organisms]
        todo = [i for i, losses in enumerate(found) if losses is None]
        costs = [self.objective.cost(o.genome, until - len(o.losses)) for o in organisms]
        n_done = len(organisms) - len(todo)

        def note(i: int, losses: tuple[float, ...]) -> None:
            nonlocal n_done
            found[i] = losses
            n_done += i in todo
            self.spent += costs[i]
            old = organisms[i]
            self.organisms[old.id] = replace(old, losses=(*old.losses, *losses))
            self._send(organisms, until, n_done)

        def add(place: int, outcome: Outcome[_Trained]) -> None:
            i = todo[place]
            if self._stop.is_set():  # after a stop, the result may be incomplete
                return
            done = outcome.result or _Trained(RungResult((math.inf,)), 0.0, 0.0)
            new = done.result.losses[-(until - len(organisms[i].losses)) :]
            done = replace(done, result=replace(done.result, losses=new))
            records.add(
                organisms[i], until, done.result, operations=costs[i], seconds=done.seconds,
                cpu_seconds=done.cpu_seconds, reason=outcome.error,
            )  # fmt: skip
            note(i, done.result.losses)

        self._send(organisms, until, n_done)
        for i, losses in enumerate(found):
            if losses is not None:
                note(i, losses)
        # Start the longest first, so that workers are not idle while the last one runs.
        todo.sort(key=lambda i: -costs[i])
        rungs = [self._rung(organisms[i], until) for i in todo]
        evaluate_all(self._work, rungs, self._pool, on_outcome=add, should_stop=self._stop)
        return [losses or () for losses in found]

    def _rung(self, organism: Contestant, until: int) -> Rung:
        """Return the rung, with the state to continue from; without one, it starts again."""
        return Rung(organism.genome, organism.seed, until, self._state(organism))

    def _state(self, organism: Contestant) -> TrainState | None:
        """Return the state after the known losses of an organism, if it is recorded."""
        _, config = self.objective.settings(organism.genome)
        step = len(organism.losses) * config.steps_between_evaluations
        state = self._records.state(organism.id) if step else None
        return state if state and state.step == step else None

    def _send(self, alive: Sequence[Contestant], until: int, n_done: int) -> None:
        ranked = rank([*self.organisms.values()])
        self._on_event(BudgetedEvent(ranked, alive, until, n_done, self.spent))


def _run(
    objective: BudgetedObjective, should_stop: Callable[[], bool] | None, rung: Rung
) -> _Trained:
    """Train up to the end of a rung, and measure the time."""
    started, cpu_started = perf_counter(), thread_time()  # training uses only this thread
    result = objective.run(rung, should_stop)
    return _Trained(result, perf_counter() - started, thread_time() - cpu_started)
