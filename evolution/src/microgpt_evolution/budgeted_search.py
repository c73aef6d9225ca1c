"""Run a budgeted search on a worker pool; the same budget and seed give the same winner.

A time limit lowers the budget of each generation to what can be trained in time. The budgets are
recorded, so that a resumed search repeats the same trials.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from microgpt import (
    Hook,
    Split,
    Teachers,
    TimeLimit,
    TrainingJob,
    TrainResult,
    TrainState,
    count_params,
    train,
    train_job,
)
from microgpt_evolution.evolution_errors import NoWinnerError
from microgpt_evolution.genome import Genome, Space
from microgpt_evolution.genome_file import BUDGETED_VERSION, GENOME, GenomeRecord, write_genome
from microgpt_evolution.objectives.rung_objective import STUDENT_LENGTH, RungObjective
from microgpt_evolution.strategies.surrogate_search import SurrogateSearch
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import BudgetedSettings
from microgpt_evolution.trial import (
    EVALUATIONS,
    STUDENT,
    Contestant,
    Evaluation,
    Trial,
    TrialRecord,
    training_seed,
)
from microgpt_evolution.workers import Workers

# On average, a teacher's chunks must have at least this fraction of the length of the winner's.
# The fraction is 0.99 if the teacher's shorter context splits one document in a hundred.
MIN_LENGTH = 0.99


class BudgetedSearch:
    """A search that trains organisms until its budget is spent, and that can be resumed."""

    def __init__(
        self,
        sets: Split,
        workers: Workers,
        study: Study[BudgetedSettings],
        *,
        on_event: Callable[["BudgetedSearch"], None],
        limit: TimeLimit | None = None,
    ) -> None:
        """Prepare a search with the settings of the study.

        `on_event` is called with the search when a generation begins and after each trial.
        """
        settings = study.settings
        self.study, self.sets, self._workers, self._on_event = study, sets, workers, on_event
        # The objective gets no test documents, so that the search cannot use them.
        self.objective = RungObjective(replace(sets, test=()), settings.text, settings.operations)
        self._student = self.objective.student_cost(
            settings.first[0], settings.distill, settings.teacher_samples
        )
        self._planned = settings.budget - self._student
        self.strategy = SurrogateSearch(
            Space(settings.values),
            settings.first,
            settings.remaining[0] if settings.remaining else self._planned,
            self.objective.cost,
            n_finalists=max(1, settings.distill),
            accepts=self.objective.accepts,
            seed=settings.seed,
        )
        self._limit, self._began = limit, limit.clock() if limit else 0.0
        self.last: TrialRecord | None = None  # record of the trial that ended last
        self.budget = self._planned  # maximum number of operations, without those of the student
        self.spent = self.recorded = 0.0  # operations so far; of these, those of an earlier process

    @property
    def best(self) -> Contestant | None:
        """The organism with the lowest loss so far."""
        return next(iter(self.strategy.ranked), None)

    def run(self) -> None:
        """Train organisms until the budget is spent."""
        n_known = len(self.study.settings.remaining)
        while True:
            self.strategy.budget = self._next_budget()
            if asked := self.strategy.ask():
                self._forget_ended_runs()
                self._train(asked)
            elif self.strategy.generation >= n_known:
                return

    def _next_budget(self) -> float:
        """Return the next generation's budget, recorded or limited by the budget and time left."""
        recorded = self.study.settings.remaining
        if self.strategy.generation < len(recorded):
            budget = recorded[self.strategy.generation]
        else:
            budget = max(0.0, min(self._planned - self.spent, self._operations_left()))
            self.study.change(remaining=(*recorded, budget))
        self.budget = self.spent + budget
        return budget

    def _operations_left(self) -> float:
        """Return how many operations can be finished in time, or infinity without a time limit."""
        if not self._limit:
            return math.inf
        left, new = self._limit.seconds_left(), self.spent - self.recorded
        if not new:
            return math.inf if left > 0 else 0.0
        speed = new / max(self._limit.clock() - self._began, 1e-9)
        if len(self._teachers()) < 2:
            return left * speed
        # Reserve the time of a student: one worker trains it while the others wait.
        return left * speed - self._student * min(self.strategy.size, self._workers.n_workers())

    def _train(self, asked: Sequence[Contestant]) -> None:
        """Train the organisms of a generation, and pass their new losses to the strategy."""
        study, runs = self.study, list[Contestant]()

        def note(_: int, record: TrialRecord) -> None:
            self.last = record
            self.spent += record.flops
            self._on_event(self)

        self._on_event(self)
        for each in asked:
            if record := study.record_of(each):
                self.recorded += record.flops
                note(0, record)
            runs.append(each if record else replace(each, state=self._state(each)))
        found = study.measure(runs, self.objective, self._workers, note)
        self.strategy.tell([record.losses if record.is_ok else (math.inf,) for record in found])

    def _forget_ended_runs(self) -> None:
        """Remove the states of finished training runs, except the winner's and the teachers'."""
        kept = {organism.id for organism in (self.best, *self._teachers()) if organism}
        for organism in self.strategy.organisms.values():
            if organism.has_ended and organism.id not in kept:
                self.study.forget_state(organism.id)

    def winner(self) -> tuple[Contestant, TrainResult]:
        """Return the best organism so far and its model; raise NoWinnerError if there is none."""
        if not (best := self.best):
            raise NoWinnerError(self.study.why_no_winner())
        return best, self._trained(best)

    def save_genome(self, best: Contestant) -> GenomeRecord:
        """Write genome.json to the directory of the study, and return its content."""
        settings = self.study.settings
        record = GenomeRecord(
            version=BUDGETED_VERSION,
            genome=best.genome,
            operations=settings.operations,
            val_loss=best.loss,
            contamination=settings.contamination.get("validation") or None,
            generation=best.generation,
            text=settings.text,
            budget=settings.budget,
            gap=settings.gap if settings.text == "stream" else None,
            seed=settings.seed,
            data_sha256=settings.data_sha256,
        )
        write_genome(self.study.directory / GENOME, record)
        return record

    def _trained(self, organism: Contestant) -> TrainResult:
        """Return the training result of an organism; train it again if its state was not kept."""
        return self.objective.train(organism, organism.n_finite, self._state(organism))

    def _state(self, organism: Contestant) -> TrainState | None:
        """Return the state saved at an organism's last finite loss, or None if there is none."""
        config, n = self.objective.plan(organism.genome).config, organism.n_finite
        run = self.study.state(organism.id) if n else None
        is_known = run and run[1].step == n * config.steps_between_evaluations
        return run[1] if run and is_known else None

    def student(self, hooks: Sequence[Hook] = ()) -> TrainResult | None:
        """Return a student: a model of the winner's size trained on its teachers' mean predictions.

        A recorded student is not trained again. Return None if there are fewer than two teachers.
        """
        best, found, study, objective = self.best, self._teachers(), self.study, self.objective
        if best is None or len(found) < 2:
            return None
        parents = tuple(each.id for each in (best, *found))
        id, seed = f"{STUDENT}-1", training_seed(study.settings.seed, 0, 1)
        is_known = any(each.id == id for each in study.records)
        if is_known and (run := study.state(id)):
            return train_job(TrainingJob(run[0], objective.sets, resume=run[1]))
        teachers = Teachers([self._trained(each) for each in found], study.settings.teacher_samples)
        result = self._train_student(best.genome, seed, teachers, hooks)
        loss = (result.val_loss or 0.0) * objective.tokens(best.genome.vocab_size).per_character
        context, state = result.model.block_size, result.state
        genome = replace(best.genome, block_size=context, dropout=0.0, weight_decay=0.0)
        measured = Evaluation("ok", loss, losses=(loss,), seconds=state.seconds)
        study.add(
            Trial(genome, seed, id, STUDENT, parents),
            replace(measured, checkpoint=(result.plan, state)),
            flops=objective.student_cost(genome, len(found), teachers.n_samples),
            n_params=count_params(result.model),
        )
        return result

    def _teachers(self) -> list[Contestant]:
        """Return the best fully trained organisms that can teach a model of the winner's size.

        A teacher has the winner's vocabulary, and chunks of nearly the same length. The best
        organism of each species comes first, as models of different shapes make different errors.
        """
        species, others = dict[str, Contestant](), list[Contestant]()
        ranked, plan = self.strategy.ranked, self.objective.plan
        for organism in ranked:
            genome, of_best = organism.genome, ranked[0].genome
            if len(organism.losses) < EVALUATIONS or genome.vocab_size != of_best.vocab_size:
                continue
            if plan(genome).length < MIN_LENGTH * plan(of_best).length:
                continue
            if species.setdefault(genome.species, organism) is not organism:
                others.append(organism)
        return [*species.values(), *others][: self.study.settings.distill]

    def _train_student(
        self, genome: Genome, seed: int, teachers: Teachers, hooks: Sequence[Hook]
    ) -> TrainResult:
        """Train a student with the winner's genome, but without dropout or weight decay.

        The student is trained for STUDENT_LENGTH times as many steps as the winner. Its context is
        the shortest of the winner's and the teachers' contexts.
        """
        model, config, *_ = self.objective.plan(genome)
        config = replace(
            config,
            seed=seed,
            dropout=0.0,
            weight_decay=0.0,
            steps=STUDENT_LENGTH * config.steps,
            warmup_steps=STUDENT_LENGTH * config.warmup_steps,
        )
        return train(
            self.objective.sets,
            model=replace(model, block_size=min(model.block_size, teachers.block_size)),
            config=config,
            tokenizer=self.objective.tokens(genome.vocab_size).tokenizer,
            teachers=teachers,
            hooks=hooks,
        )
