"""Run a budgeted search on a worker pool; the same budget and seed give the same winner.

A time limit lowers the budget of each generation, and ends training runs when the time is over.
The budgets and the losses are recorded, so a resumed search asks for the same trials.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Event, Lock
from zlib import crc32

from microgpt import (
    Checkpoints,
    Hook,
    Split,
    StopWhen,
    TimeLimit,
    TrainingJob,
    TrainResult,
    TrainState,
    count_params,
    train,
    train_job,
)
from microgpt_evolution import training_states
from microgpt_evolution.budgeted.student import (
    find_teachers,
    student_cost,
    student_job,
    students_of,
)
from microgpt_evolution.errors import NoWinnerError, StoppedError
from microgpt_evolution.objectives.rung_objective import RungObjective
from microgpt_evolution.space import Space
from microgpt_evolution.strategies.contestant import Contestant, rank
from microgpt_evolution.strategies.surrogate import SurrogateSearch
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import BudgetedSettings
from microgpt_evolution.trial import STUDENT, Evaluation, Trial, TrialRecord, training_seed
from microgpt_evolution.workers import Threads, Workers

TOLERANCE = 0.03  # a training run is ended if the search is late by this fraction of its time
MIN_STUDENT_S = 1.0  # time limit of a student if no time is left


class BudgetedSearch:
    """A search that is run or resumed."""

    def __init__(
        self,
        parts: Split,
        workers: Workers,
        study: Study[BudgetedSettings],
        *,
        on_event: Callable[["BudgetedSearch"], None],
        should_stop: Event | None = None,
        limit: TimeLimit | None = None,
        budget: float | None = None,
    ) -> None:
        """Prepare a search with the settings of the study.

        Args:
            on_event: called when a generation begins and after each evaluation.
            limit: time limit for what has not been recorded. Workers of a cluster do not know it,
                so they complete a generation that has begun.
            budget: with how many operations in total a search goes on.
        """
        self.study, self.parts, self._on_event = study, parts, on_event
        self._stop, settings = should_stop or Event(), study.settings
        self.objective = objective = RungObjective(
            replace(parts, test=()),  # the search never reads the test set
            settings.text,
            settings.operations,
            self._may_continue if isinstance(workers, Threads) else None,
        )
        self._workers = workers
        student = student_cost(
            objective, settings.first[0], settings.distill, settings.teacher_samples
        )
        self._total, self._is_more = budget or settings.budget, bool(budget or limit)
        planned = self._total - student * (1 + len(students_of(study)))
        self.strategy = SurrogateSearch(
            Space(settings.values),
            settings.first,
            settings.remaining[0] if settings.remaining else planned,
            objective.cost,
            n_finalists=max(1, settings.distill),
            accepts=lambda genome: objective.refusal(Trial(genome, 0)) is None,
            seed=settings.seed,
        )
        self._withheld = planned - self.strategy.budget  # operations of which it does not know
        self._limit, self._student_s = limit, student / (speed_of(study) or math.inf)
        self._began = limit.clock() if limit else 0.0
        self._lock, self._running = Lock(), dict[str, float]()  # operations of unfinished rungs
        self.n_asked = self.n_done = 0  # organisms of this generation, and those that have ended
        self.lowest = math.inf  # loss so far
        self.last: TrialRecord | None = None  # the record of the last trial that has ended
        self.spent = self.trained = 0.0  # operations of ended rungs, and of those trained here
        self.budget = planned  # operations of the search without its student

    @property
    def running(self) -> float:
        """Operations of the evaluations so far in rungs that have not ended."""
        return sum(self._running.values())

    @property
    def best(self) -> Contestant | None:
        """The organism with the lowest loss so far."""
        return next(iter(rank(self.strategy.organisms.values())), None)

    def run(self) -> None:
        """Train organisms until the budget is spent.

        Raises:
            StoppedError: should_stop was set.
        """
        n_known = len(self.study.settings.remaining)
        while True:
            self.strategy.budget = self._next_budget()
            if asked := self.strategy.ask():
                self._forget_what_has_ended()
                self._train(asked)
            elif self.strategy.generation >= n_known + self._is_more:
                return

    def _next_budget(self) -> float:
        """Return the budget for the next generation: as recorded, or what is left in time."""
        settings, before = self.study.settings, self.strategy.budget
        planned = before + self._withheld * self._is_more
        if self.strategy.generation < len(settings.remaining):
            budget = settings.remaining[self.strategy.generation]
        else:
            budget = max(0.0, min(planned, self._operations_left()))
            remaining = (*settings.remaining, budget)
            self.study.change(budget=self._total, remaining=remaining)
        self.budget = self.spent + budget
        self._withheld += before - budget
        return budget

    def _operations_left(self) -> float:
        """Return how many operations all workers can finish in time, at their speed so far."""
        if not self._limit or (left := self._seconds_left()) <= 0:
            return 0.0 if self._limit else math.inf
        speed = self.trained / max(self._limit.clock() - self._began, 1e-9)
        return left * speed if speed else math.inf

    def _seconds_left(self) -> float:
        """Return the time until the limit; once a student has teachers, without its time."""
        left = self._limit.seconds_left() if self._limit else math.inf
        return left - self._student_s * (len(self._teachers()) > 1)

    def _may_continue(self, id: str, operations: float) -> bool:
        """Return whether there is time to train an organism up to its next evaluation."""
        with self._lock:
            self._running[id] = operations
        self._send()
        return not self._limit or self._seconds_left() >= -TOLERANCE * self._limit.seconds

    def _train(self, asked: Sequence[Contestant]) -> None:
        """Train the organisms of a generation, and tell the strategy their new losses."""
        known = [self.study.known(each) for each in asked]
        trials = [
            each if record else replace(each, state=self._state(each))
            for each, record in zip(asked, known, strict=True)
        ]
        self.n_asked, self.n_done = len(asked), 0

        def note(i: int, record: TrialRecord) -> None:
            with self._lock:
                self.last = record
                self._running.pop(record.id, None)
                self.n_done += 1
                self.spent += record.flops
                self.trained += 0.0 if known[i] else record.flops
                self.lowest = min(self.lowest, record.fitness)
            self._send()

        self._send()
        study, workers = self.study, self._workers
        try:
            for i, record in enumerate(known):
                if record:
                    note(i, record)
            study.measure(trials, self.objective, workers, note, should_stop=self._stop)
        finally:  # also after Ctrl-C: the best one so far is kept
            self.strategy.tell([_losses(study.known(each)) for each in asked])

    def _forget_what_has_ended(self) -> None:
        """Remove the states of ended training runs, except for the winner's and its teachers'."""
        kept = {organism.id for organism in (self.best, *self._teachers()) if organism}
        for organism in self.strategy.organisms.values():
            if organism.has_ended and organism.id not in kept:
                training_states.forget(self.study.directory, organism.id)

    def winner(self) -> tuple[Contestant, TrainResult]:
        """Return the best organism so far and its model, trained as far as in the search.

        Raises:
            NoWinnerError: no organism has a finite loss.
        """
        if not (best := self.best):
            raise NoWinnerError(self.study.why_no_winner())
        return best, self._trained(best)

    def _trained(self, organism: Contestant) -> TrainResult:
        """Return the model of an organism; retrain it if its state was not kept."""
        model, config = self.objective.settings(organism.genome, organism.seed)
        if not organism.is_complete:
            config = replace(config, until=self._step(organism))
        return train(
            self.objective.parts,
            model=model,
            config=config,
            tokenizer=self.objective.tokens(organism.genome.vocab_size).tokenizer,
            resume=self._state(organism),
        )

    def _state(self, organism: Contestant) -> TrainState | None:
        """Return the state after the known losses of an organism, if it is recorded."""
        step = self._step(organism)
        run = training_states.kept(self.study.directory, organism.id) if step else None
        return run[1] if run and run[1].step == step else None

    def _step(self, organism: Contestant) -> int:
        """Return the step of an organism's last evaluation with a finite loss."""
        _, config = self.objective.settings(organism.genome)
        n_finite = sum(loss < math.inf for loss in organism.losses)
        return n_finite * config.steps_between_evaluations

    def student(self, hooks: Sequence[Hook] = ()) -> TrainResult | None:
        """Train a model of the winner's size on the mean predictions of the best organisms.

        A student that is recorded is not trained again. Returns None if there are fewer than two
        teachers. The time limit shortens the training.

        Raises:
            StoppedError: should_stop was set. The next call continues.
        """
        best, teachers, study = self.best, self._teachers(), self.study
        if best is None or len(teachers) < 2:
            return None
        parents = tuple(each.id for each in (best, *teachers))
        lessons = [record.parents for record in students_of(study)]
        is_known = parents in lessons
        number = 1 + (lessons.index(parents) if is_known else len(lessons))
        id = f"{STUDENT}-{number}"
        # Another best organism or other teachers make another student.
        place = f"{id}-{crc32(' '.join(parents).encode()):08x}"
        run = training_states.kept(study.directory, place)
        if run and is_known:
            return train_job(TrainingJob(run[0], self.objective.parts, resume=run[1]))
        settings, seed = study.settings, training_seed(study.settings.seed, 0, number)
        models = [self._trained(each) for each in teachers]
        job = student_job(self.objective, best.genome, seed, models, settings.teacher_samples)
        if run:  # its steps may be those that fitted the time
            job = replace(job, plan=replace(job.plan, config=run[0].config), resume=run[1])
        if limit := self._limit:
            seconds = max(MIN_STUDENT_S, limit.seconds_left())
            limit = TimeLimit(seconds / 60, limit.clock(), reserve_s=0.0, clock=limit.clock)
        keep = partial(training_states.keep, study.directory, place)
        hooks = (*hooks, Checkpoints(keep), StopWhen(self._stop.is_set))
        result = train_job(replace(job, limit=limit), hooks=hooks)
        if result.ending == "stopped":
            raise StoppedError("stopped while the student was being trained")
        keep(result.plan, result.state)
        n_tokens = self.objective.tokens(best.genome.vocab_size).per_character
        loss = (result.val_loss or 0.0) * n_tokens
        context = result.model.block_size
        genome = replace(best.genome, block_size=context, dropout=0.0, weight_decay=0.0)
        cost = student_cost(self.objective, genome, len(teachers), settings.teacher_samples)
        share = result.state.step / job.plan.config.steps  # a time limit may have ended it
        study.add(
            Trial(genome, seed, id, STUDENT, parents),
            Evaluation("ok", loss, losses=(loss,), seconds=result.state.seconds),
            flops=cost * share,
            n_params=count_params(result.model),
        )
        return result

    def _teachers(self) -> list[Contestant]:
        ranked = rank(self.strategy.organisms.values())
        return find_teachers(self.objective, ranked, self.study.settings.distill)

    def _send(self) -> None:
        with self._lock:  # may be called by a worker
            self._on_event(self)


def _losses(record: TrialRecord | None) -> tuple[float, ...]:
    """Return the losses of a rung; infinity if it has failed."""
    if record is None:
        return ()
    return record.losses if record.is_ok else (math.inf,)


def speed_of(study: Study[BudgetedSettings]) -> float | None:
    """Return the operations per second of one worker, so far or else as measured before."""
    seconds = sum(record.seconds for record in study.records)
    spent = sum(record.flops for record in study.records)
    return spent / seconds if seconds else study.settings.operations_per_s
