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
from microgpt_evolution.budgeted.contestant import Contestant, rank
from microgpt_evolution.budgeted.objective import (
    STUDENT_LENGTH,
    BudgetedObjective,
    Rung,
    RungResult,
)
from microgpt_evolution.budgeted.records import BudgetedRecords
from microgpt_evolution.budgeted.search import Run, surrogate_search
from microgpt_evolution.errors import NoWinnerError, StoppedError
from microgpt_evolution.seeds import training_seed
from microgpt_evolution.space import Space
from microgpt_evolution.workers.pickled_once import PickledOnce
from microgpt_evolution.workers.pools import Pool, Threads
from microgpt_evolution.workers.retrying_driver import Outcome, evaluate_all

STUDENT = "student"  # name of its state among those of the organisms
# Minimum mean length of a teacher's chunks, relative to the winner's. If a shorter context splits
# one document in a hundred in two, the chunks are 0.99 times as long.
MIN_LENGTH = 0.99


@dataclass(frozen=True)
class BudgetedEvent:
    """Progress of a budgeted search, sent when a generation begins and after each run."""

    organisms: Sequence[Contestant]  # all organisms so far, the best first
    generation: int  # counted from 1
    runs: Sequence[Run]  # of this generation
    n_done: int  # number of runs of this generation that have ended
    spent: float  # operations so far
    is_known: bool  # whether all of this was recorded when the run was resumed


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
        self._generation, self._is_known = 0, True
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
        student = objective.student_cost(
            settings.first[0], settings.distill, settings.teacher_samples
        )
        search = surrogate_search(
            Space(settings.values, settings.rates),
            settings.first,
            settings.budget - student,
            objective.cost,
            n_finalists=max(1, settings.distill),
            accepts=lambda genome: objective.refusal(genome) is None,
            seed=settings.seed,
        )
        runs = next(search, None)
        while runs and not self._is_target_reached():
            self._forget_what_has_ended()
            self._generation += 1
            losses = self._train(runs)
            try:
                runs = search.send(losses)
            except StopIteration:
                return

    @property
    def best(self) -> Contestant | None:
        """The organism with the lowest loss so far."""
        return next(iter(rank(self.organisms.values())), None)

    def winner(self) -> tuple[Contestant, TrainResult]:
        """Return the best organism so far and its model, trained as far as the search has.

        Raises:
            NoWinnerError: no organism has a finite loss.
        """
        if not self.best:
            raise NoWinnerError("no organism finished training; use other documents")
        return self.best, self._trained(self.best)

    def _trained(self, organism: Contestant) -> TrainResult:
        """Return the model of an organism; without its state, it is trained again."""
        model, config = self.objective.settings(organism.genome, organism.seed)
        return train(
            self.parts,
            model=model,
            config=config,
            tokenizer=self.objective.tokens(organism.genome.vocab_size).tokenizer,
            resume=self._state(organism),
            until=None if organism.is_complete else self._step(organism),
        )

    def _teachers(self) -> list[Contestant]:
        """Return the best complete organisms that can teach a model of the winner's size.

        The best of each species come first, since different shapes make different errors.
        """
        best, species, others = self.best, dict[str, Contestant](), list[Contestant]()
        for organism in rank(self.organisms.values()):
            if not (best and organism.is_complete and self._can_teach(organism, best)):
                continue
            if species.setdefault(organism.genome.species, organism) is not organism:
                others.append(organism)
        return [*species.values(), *others][: self.settings.distill]

    def _can_teach(self, organism: Contestant, best: Contestant) -> bool:
        """Return whether an organism has the tokens of the best one and hardly shorter chunks."""
        genome, of_best = organism.genome, best.genome
        if genome.vocab_size != of_best.vocab_size:
            return False
        length, of_winner = map(self.objective.chunk_length, (genome, of_best))
        return length >= MIN_LENGTH * of_winner

    def student(self) -> TrainResult | None:
        """Train a model of the winner's size to predict as the best organisms do on average.

        Its context is the shortest of the winner's and the teachers'. It is trained without dropout
        and weight decay, and longer than they were. Returns None if there are fewer than two
        teachers.

        Raises:
            StoppedError: should_stop was set. The next call continues.
        """
        best, teachers, records = self.best, self._teachers(), self._records
        if best is None or len(teachers) < 2:
            return None
        models = [self._trained(each) for each in teachers]
        seed = training_seed(self.settings.seed, 0, 1)  # of no organism
        model, config = self.objective.settings(best.genome, seed)
        context = min(each.genome.block_size for each in (best, *teachers))
        model = replace(model, block_size=context)
        config = replace(
            config,
            dropout=0.0,
            weight_decay=0.0,
            steps=STUDENT_LENGTH * config.steps,
            warmup_steps=STUDENT_LENGTH * config.warmup_steps,
        )
        plan = replace(models[0].plan, model=model, config=config)
        result = train(
            self.parts,
            model=model,
            config=config,
            tokenizer=self.objective.tokens(best.genome.vocab_size).tokenizer,
            teachers=models,
            teacher_samples=self.settings.teacher_samples,
            resume=records.state(STUDENT),
            on_state=lambda state: records.keep(STUDENT, plan, state),
            should_stop=self._stop.is_set,
        )
        if result.ending == "stopped":
            raise StoppedError("stopped while the student was being trained")
        return result

    def _is_target_reached(self) -> bool:
        target = self.settings.target
        return target is not None and any(
            each.is_complete and each.loss <= target for each in self.organisms.values()
        )

    def _forget_what_has_ended(self) -> None:
        """Remove the states of ended training runs, except for the winner's and its teachers'."""
        kept = {organism.id for organism in (self.best, *self._teachers()) if organism}
        for organism in self.organisms.values():
            if organism.has_ended and organism.id not in kept:
                self._records.forget(organism)

    def _train(self, runs: Sequence[Run]) -> list[tuple[float, ...]]:
        """Train the organisms of a generation and return their new losses."""
        records = self._records
        found = [records.known(*run) for run in runs]
        todo = [i for i, losses in enumerate(found) if losses is None]
        costs = [self.objective.cost(o.genome, until - len(o.losses)) for o, until in runs]
        n_done = len(runs) - len(todo)

        def note(i: int, losses: tuple[float, ...]) -> None:
            nonlocal n_done
            found[i] = losses
            n_done += i in todo
            self.spent += costs[i]
            self._is_known = self._is_known and i not in todo
            old = runs[i].organism
            self.organisms[old.id] = replace(old, losses=(*old.losses, *losses))
            self._send(runs, n_done)

        def add(place: int, outcome: Outcome[_Trained]) -> None:
            i = todo[place]
            if self._stop.is_set():  # after a stop, the result may be incomplete
                return
            organism, until = runs[i]
            done = outcome.result or _Trained(RungResult((math.inf,)), 0.0, 0.0)
            new = done.result.losses[-(until - len(organism.losses)) :]
            done = replace(done, result=replace(done.result, losses=new))
            records.add(
                organism, until, done.result, operations=costs[i], seconds=done.seconds,
                cpu_seconds=done.cpu_seconds, reason=outcome.error,
            )  # fmt: skip
            note(i, done.result.losses)

        self._send(runs, n_done)
        for i, losses in enumerate(found):
            if losses is not None:
                note(i, losses)
        # Start the longest first, so that workers are not idle while the last one runs.
        todo.sort(key=lambda i: -costs[i])
        rungs = [self._rung(*runs[i]) for i in todo]
        evaluate_all(self._work, rungs, self._pool, on_outcome=add, should_stop=self._stop)
        return [losses or () for losses in found]

    def _rung(self, organism: Contestant, until: int) -> Rung:
        """Return the rung, with the state to continue from; without one, it starts again."""
        return Rung(organism.genome, organism.seed, until, self._state(organism))

    def _state(self, organism: Contestant) -> TrainState | None:
        """Return the state after the known losses of an organism, if it is recorded."""
        step = self._step(organism)
        state = self._records.state(organism.id) if step else None
        return state if state and state.step == step else None

    def _step(self, organism: Contestant) -> int:
        """Return the step of the last evaluation of an organism that had a finite loss."""
        _, config = self.objective.settings(organism.genome)
        n_finite = sum(loss < math.inf for loss in organism.losses)
        return n_finite * config.steps_between_evaluations

    def _send(self, runs: Sequence[Run], n_done: int) -> None:
        ranked = rank(self.organisms.values())
        self._on_event(
            BudgetedEvent(ranked, self._generation, runs, n_done, self.spent, self._is_known)
        )


def _run(
    objective: BudgetedObjective, should_stop: Callable[[], bool] | None, rung: Rung
) -> _Trained:
    """Train up to the end of a rung, and measure the time."""
    started, cpu_started = perf_counter(), thread_time()  # training uses only this thread
    result = objective.run(rung, should_stop)
    return _Trained(result, perf_counter() - started, thread_time() - cpu_started)
