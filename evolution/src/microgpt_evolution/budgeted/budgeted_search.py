"""Run a budgeted search on a worker pool; the same budget and seed give the same winner.

With a time limit, the search trains less if it would otherwise end late. The omitted training is
recorded, so a resumed search also gives the same winner.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Lock

from microgpt import (
    Checkpoints,
    Hook,
    Split,
    StopWhen,
    TimeLimit,
    TrainResult,
    TrainState,
    train,
    train_job,
)
from microgpt_evolution.budgeted.budgeted_records import BudgetedRecords, TimeCut
from microgpt_evolution.budgeted.genome import EVALUATIONS, Contestant, rank
from microgpt_evolution.budgeted.objective import BudgetedObjective
from microgpt_evolution.budgeted.pace import SearchPace
from microgpt_evolution.budgeted.student import find_teachers, student_job
from microgpt_evolution.budgeted.surrogate_search import SurrogateSearch
from microgpt_evolution.errors import NoWinnerError, StoppedError
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.workers.pools import Pool, Threads

STUDENT = "student"  # name of its state among those of the organisms
LATE = 0.95  # a time limit cuts a search that can use less than this fraction of its budget in time
MARGIN = (
    1.5  # likewise if one worker cannot complete a training run of this relative length in time
)
MIN_STUDENT_S = 1.0  # time limit of a student if no time is left


@dataclass(frozen=True)
class BudgetedEvent:
    """Progress of a budgeted search, sent when a generation begins and after each evaluation."""

    organisms: Sequence[Contestant]  # all organisms so far, the best first
    generation: int  # counted from 1
    runs: Sequence[Contestant]  # of this generation, before their training
    n_done: int  # number of runs of this generation that have ended
    spent: float  # operations so far
    budget: float  # operations of the search, without those of the student
    planned: float  # likewise, before the time limit cut it
    is_known: bool  # whether all of this was recorded when the run was resumed


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
        limit: TimeLimit | None = None,
    ) -> None:
        """Prepare a search with the settings in the records; see `BudgetedEvent` for `on_event`.

        Args:
            limit: time limit of a new search; without a limit, the recorded cuts apply. Workers of
                a cluster do not know the limit, so they complete a generation that has begun.
        """
        self._records, self._on_event, self.parts = records, on_event, parts
        self._stop, self.settings = should_stop or Event(), records.settings
        settings = self.settings
        self.objective = BudgetedObjective(
            replace(parts, test=()),  # the search never reads the test set
            settings.text,
            settings.operations,
            watch=self if isinstance(pool, Threads) else None,
        )
        self.organisms: dict[str, Contestant] = {}
        self._generation, self._is_known = 0, True
        self.spent = 0.0  # operations of the rungs so far
        self._running = 0.0  # operations of the evaluations so far in rungs that have not ended
        self._budget = self._planned = settings.budget
        self._limit, self._lock = limit, Lock()
        self._pace: SearchPace | None = None
        self._runs, self._n_done = list[Contestant](), 0  # of this generation
        self._evaluator = CachedEvaluator(self.objective, pool, records, should_stop=self._stop)

    def run(self) -> None:
        """Train organisms until the budget is spent or the target is reached.

        Raises:
            StoppedError: should_stop was set.
        """
        settings, objective = self.settings, self.objective
        rule, n_samples = settings.first[0], settings.teacher_samples
        student = objective.student_cost(rule, settings.distill, n_samples)
        search = SurrogateSearch(
            settings.space,
            settings.first,
            settings.budget - student,
            objective.cost,
            n_finalists=max(1, settings.distill),
            accepts=lambda genome: objective.refusal(Trial(genome, 0)) is None,
            seed=settings.seed,
        )
        self._budget = self._planned = settings.budget - student
        if (limit := self._limit) and (speed := settings.operations_per_s):
            self._pace = SearchPace(limit, speed, student / speed)
        while not self._is_target_reached():
            self._generation += 1
            cut = self._records.cut(self._generation) or self._cut(search.budget)
            if cut and cut.budget is not None:
                search.budget, self._budget = cut.budget, self.spent + cut.budget
            longest = cut.longest if cut else None
            if not (runs := search.ask(math.inf if longest is None else longest)):
                return
            self._forget_what_has_ended()
            losses = self._train(runs, cut.rungs if cut else None)
            search.tell(losses)
            if not any(losses):
                return

    def may_begin(self, operations: float) -> bool:
        """Return whether a rung may begin; see `Watch`. Without measurements, it always may."""
        pace = self._pace
        return not pace or not pace.has_measured or operations <= pace.longest()

    def may_continue(self, operations: float, seconds: float) -> bool:
        """Return whether a rung may continue; see `Watch`."""
        with self._lock:
            self._running += operations
        self._send()
        if not self._pace:
            return True
        self._pace.evaluated(operations, seconds)
        return seconds <= self._pace.seconds_left()

    def _cut(self, budget: float) -> TimeCut | None:
        """Return and record how much training still fits the time, if less than planned."""
        pace = self._pace
        if not pace:
            return None
        pace.begin_generation(self.spent)
        if not self.spent:
            return None
        complete = self.objective.cost(self.settings.first[0], EVALUATIONS)
        left, longest = pace.left(self.spent), pace.longest()
        is_late, is_short = left < LATE * budget, longest < MARGIN * complete
        if not is_late and not is_short:
            return None
        cut = TimeCut(
            generation=self._generation,
            budget=float(f"{max(1.0, left):.4g}") if is_late else None,
            longest=float(f"{longest:.4g}") if is_short else None,
        )
        self._records.keep_cut(cut)
        return cut

    @property
    def best(self) -> Contestant | None:
        """The organism with the lowest loss so far."""
        return next(iter(rank(self.organisms.values())), None)

    def winner(self) -> tuple[Contestant, TrainResult]:
        """Return the best organism so far and its model, trained as far as in the search.

        Raises:
            NoWinnerError: no organism has a finite loss.
        """
        if not self.best:
            raise NoWinnerError("no organism finished training; use other documents")
        return self.best, self._trained(self.best)

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

    def student(self, hooks: Sequence[Hook] = ()) -> TrainResult | None:
        """Train a model of the winner's size on the mean predictions of the best organisms.

        Returns None if there are fewer than two teachers. The time limit shortens the training.

        Raises:
            StoppedError: should_stop was set. The next call continues.
        """
        best, teachers, records = self.best, self._teachers(), self._records
        if best is None or len(teachers) < 2:
            return None
        models = [self._trained(each) for each in teachers]
        job = student_job(self.objective, self.settings, best, models)
        if known := records.training_run(STUDENT):
            plan, state = known
            # The state may be older than the number of steps that fit the time.
            config = plan.config.with_steps(self.settings.student_steps or plan.config.steps)
            config = replace(config, until=self.settings.student_until)
            job = replace(job, plan=replace(plan, config=config), resume=state)
        if limit := self._limit:
            seconds = max(MIN_STUDENT_S, limit.seconds_left())
            limit = TimeLimit(seconds / 60, limit.clock(), reserve_s=0.0, clock=limit.clock)
        save, stop = Checkpoints(partial(records.keep, STUDENT)), StopWhen(self._stop.is_set)
        result = train_job(replace(job, limit=limit), hooks=(*hooks, save, stop))
        if result.ending == "stopped":
            raise StoppedError("stopped while the student was being trained")
        if limit:
            taken = {"student_steps": result.config.steps, "student_until": result.config.until}
            records.change(records.settings.model_copy(update=taken))
        return result

    def _teachers(self) -> list[Contestant]:
        ranked = rank(self.organisms.values())
        return find_teachers(self.objective, ranked, self.settings.distill)

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
                self._records.forget(organism.id)

    def _train(
        self, asked: Sequence[Contestant], rungs: Mapping[str, int] | None
    ) -> list[tuple[float, ...]]:
        """Train the organisms of a generation and return their new losses.

        Args:
            rungs: for each organism to train, the evaluation at which to stop. Without them,
                all organisms are trained up to their next rungs, if the time limit allows it.
        """
        runs = [each for each in asked if rungs is None or each.id in rungs]
        trials = [self._trial(each, (rungs or {}).get(each.id, each.next_rung)) for each in runs]
        known = [self._records.known(trial) for trial in trials]
        self._runs, self._n_done, self._running = runs, len(runs) - known.count(None), 0.0

        def note(i: int, evaluation: Evaluation) -> None:
            is_new, old, losses = known[i] is None, runs[i], _losses(evaluation)
            n_evaluations = old.n_next if math.inf in losses else len(losses)
            with self._lock:
                self._n_done += is_new
                self.spent += self.objective.cost(old.genome, n_evaluations)
                n_watched = n_evaluations - (n_evaluations == old.n_next)
                watched = self.objective.cost(old.genome, n_watched) if is_new else 0.0
                self._running = max(0.0, self._running - watched)
                self._is_known = self._is_known and not is_new
                if losses:
                    self.organisms[old.id] = replace(old, losses=(*old.losses, *losses))
            self._send()

        self._send()
        for i, evaluation in enumerate(known):
            if evaluation:
                note(i, evaluation)
        losses = dict(zip(runs, map(_losses, self._evaluator.measure(trials, note)), strict=True))
        self._record_what_was_cut(losses)
        return [losses.get(each, ()) for each in asked]

    def _record_what_was_cut(self, losses: Mapping[Contestant, tuple[float, ...]]) -> None:
        """Record how far the organisms were trained, if the time limit cut a generation short."""
        ends = {each: len(each.losses) + len(new) for each, new in losses.items() if new}
        is_cut = any(
            ends.get(each, 0) < each.next_rung and math.inf not in new
            for each, new in losses.items()
        )
        if not self._pace or not is_cut:
            return
        rungs = {
            each.id: each.next_rung if math.inf in losses[each] else end
            for each, end in ends.items()
        }
        cut = self._records.cut(self._generation) or TimeCut(generation=self._generation)
        self._records.keep_cut(cut.model_copy(update={"rungs": rungs}))

    def _trial(self, organism: Contestant, until: int) -> Trial:
        """Return the trial of a rung, with a state to continue from if it has no result yet."""
        trial = replace(organism, until=until)
        is_known = self._records.known(trial)
        return trial if is_known else replace(trial, state=self._state(organism))

    def _state(self, organism: Contestant) -> TrainState | None:
        """Return the state after the known losses of an organism, if it is recorded."""
        step = self._step(organism)
        run = self._records.training_run(organism.id) if step else None
        return run[1] if run and run[1].step == step else None

    def _step(self, organism: Contestant) -> int:
        """Return the step of an organism's last evaluation with a finite loss."""
        _, config = self.objective.settings(organism.genome)
        n_finite = sum(loss < math.inf for loss in organism.losses)
        return n_finite * config.steps_between_evaluations

    def _send(self) -> None:
        with self._lock:  # may be called by a worker
            event = BudgetedEvent(
                organisms=rank(self.organisms.values()),
                generation=self._generation,
                runs=self._runs,
                n_done=self._n_done,
                spent=self.spent + self._running,
                budget=self._budget,
                planned=self._planned,
                is_known=self._is_known,
            )
            self._on_event(event)


def _losses(evaluation: Evaluation) -> tuple[float, ...]:
    """Return the new losses: none if there was no time, and infinity if training crashed."""
    return evaluation.losses if evaluation.status == "ok" else evaluation.losses or (math.inf,)
