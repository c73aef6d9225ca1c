"""Run a budgeted search on a worker pool; the same budget and seed give the same winner."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event

from microgpt.data.split import Split
from microgpt.state import TrainResult, TrainState
from microgpt.training.train import train
from microgpt_evolution.budgeted.genome import Contestant, rank
from microgpt_evolution.budgeted.objective import STUDENT_LENGTH, BudgetedObjective, Rung
from microgpt_evolution.budgeted.records import BudgetedRecords
from microgpt_evolution.budgeted.search import SurrogateSearch
from microgpt_evolution.errors import NoWinnerError, StoppedError
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.organism import Evaluation, Trial, training_seed
from microgpt_evolution.workers.pools import Pool

STUDENT = "student"  # name of its state among those of the organisms
# Minimum mean length of a teacher's chunks, relative to the winner's. If a shorter context splits
# one document in a hundred in two, the chunks are 0.99 times as long.
MIN_LENGTH = 0.99


@dataclass(frozen=True)
class BudgetedEvent:
    """Progress of a budgeted search, sent when a generation begins and after each run."""

    organisms: Sequence[Contestant]  # all organisms so far, the best first
    generation: int  # counted from 1
    runs: Sequence[Contestant]  # of this generation, before their training
    n_done: int  # number of runs of this generation that have ended
    spent: float  # operations so far
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
    ) -> None:
        """Prepare a search with the settings in the records."""
        self._records, self._on_event, self.parts = records, on_event, parts
        self._stop, self.settings = should_stop or Event(), records.settings
        settings = self.settings
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
            accepts=lambda genome: objective.refusal(Rung(genome)) is None,
            seed=settings.seed,
        )
        while not self._is_target_reached() and (runs := search.ask()):
            self._forget_what_has_ended()
            self._generation += 1
            search.tell(self._train(runs))

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
            self.objective.parts,
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
        plan, plan_of_best = map(self.objective.plan, (genome, of_best))
        return plan.length >= MIN_LENGTH * plan_of_best.length

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
            self.objective.parts,
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
                self._records.forget(organism.id)

    def _train(self, runs: Sequence[Contestant]) -> list[tuple[float, ...]]:
        """Train the organisms of a generation and return their new losses."""
        trials = [self._trial(organism) for organism in runs]
        known = [self._records.known(trial) for trial in trials]
        n_done = len(runs) - known.count(None)

        def note(i: int, evaluation: Evaluation) -> None:
            nonlocal n_done
            is_new, old = known[i] is None, runs[i]
            n_done += is_new
            self.spent += self.objective.cost(old.genome, old.n_next)
            self._is_known = self._is_known and not is_new
            self.organisms[old.id] = replace(old, losses=(*old.losses, *_losses(evaluation)))
            self._send(runs, n_done)

        self._send(runs, n_done)
        for i, evaluation in enumerate(known):
            if evaluation:
                note(i, evaluation)
        return [_losses(evaluation) for evaluation in self._evaluator.measure(trials, note)]

    def _trial(self, organism: Contestant) -> Trial[Rung]:
        """Return the trial of the next rung, with the state to continue from unless it is known."""
        is_known = self._records.final((organism.id, organism.next_rung))
        state = None if is_known else self._state(organism)
        rung = Rung(organism.genome, organism.next_rung, len(organism.losses), state)
        return Trial(rung, organism.seed, organism.id, organism.origin, organism.parents)

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

    def _send(self, runs: Sequence[Contestant], n_done: int) -> None:
        spent, is_known, ranked = self.spent, self._is_known, rank(self.organisms.values())
        self._on_event(BudgetedEvent(ranked, self._generation, runs, n_done, spent, is_known))


def _losses(evaluation: Evaluation) -> tuple[float, ...]:
    """Return the new losses; infinity if training crashed."""
    return evaluation.losses or (math.inf,)
