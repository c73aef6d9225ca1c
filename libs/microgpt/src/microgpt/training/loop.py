"""The training loop, which runs the engine and calls hooks until `ending` returns a reason."""

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from microgpt.config import TrainConfig, checked
from microgpt.data.contamination import trained_documents
from microgpt.data.tokenizer import Document
from microgpt.early_stopping import BestWeights, Ending, ending
from microgpt.errors import MicrogptError
from microgpt.evaluation import AT_ONCE, EvaluationSet
from microgpt.parameters import Numbers, by_name
from microgpt.training.clock import running_time
from microgpt.training.engines import check_engine, engine_module, make_training
from microgpt.training.fine_tuning import inherited_weights
from microgpt.training.hooks import Hook
from microgpt.training.planning import TrainingJob
from microgpt.training_state import HistoryPoint, TrainEvent, TrainResult, TrainState

FINITE = ("a finite number", lambda rate: abs(rate) <= 1e308)
N_RECENT = 100  # number of losses in a checkpoint; meta.json contains their mean as train_loss
N_POINTS = 500  # approximate number of points in a history; sufficient for a chart
EVENT_INTERVAL_S = 0.05  # minimum seconds between events; the overhead is not measurable


class DivergedError(MicrogptError):
    """The loss or a gradient became NaN or infinite."""


@dataclass
class TrainingLoop:
    """The training run of one model, which hooks can observe."""

    job: TrainingJob
    threads: int = 1
    hooks: Sequence[Hook] = ()
    losses: list[float] = field(default_factory=list)  # losses of this `train` call

    def __post_init__(self) -> None:
        self.started = running_time()
        job, plan, resume = self.job, self.job.plan, self.job.resume
        self.plan = plan
        check_engine(plan.engine, plan.dtype, self.threads)
        if type(plan.config).lr_at is not TrainConfig.lr_at:  # a schedule defined by the user
            for step in range(plan.config.steps):
                checked(f"lr_at({step})", plan.config.lr_at(step), float, limits=FINITE)
        if resume:
            plan.check_state(resume)
        self.rng = random.Random(plan.config.seed)
        self.dataset = job.dataset(self.rng, self.threads)
        self.engine = make_training(plan.model, plan.config, self.dataset, self.rng, self.threads)
        if resume:
            self.engine.resume(resume.step, resume.weights, resume.adam_m, resume.adam_v)
        elif job.parent:
            drawn = self.engine.flat_weights().tolist()
            weights = inherited_weights(job.parent, plan.model, plan.tokenizer, drawn)
            self.engine.set_weights(weights)
        self.history = LossHistory(plan.config.steps, resume)
        self.best = resume.best if resume else None
        self.validation = self._evaluation_set(job.sets.validation)
        self.n_reported, self.event_due = 0, running_time() + EVENT_INTERVAL_S
        self.is_stopping = False  # whether a hook has asked to stop

    @property
    def config(self) -> TrainConfig:
        """The training settings."""
        return self.plan.config

    @property
    def step(self) -> int:
        """The number of completed steps."""
        return self.engine.n_steps

    def run(self) -> TrainResult:
        """Train until the last step, an early stop or an interruption, and return the result."""
        while not (reason := self._pause()):
            self._take_steps()
        test_loss = None
        if reason != "stopped":
            if not math.isfinite(self.engine.backward()):
                raise self.diverged(f"after step {self.step}")
            if reason != "until":  # otherwise, a resumed run completes the last history point
                self.history.mark()
            test_set = self._evaluation_set(self.job.sets.test)
            weights = self.best.weights if self.best else self.engine.flat_weights()
            test_loss = self.loss(test_set, weights) if test_set else None
            reason = "stopped" if test_set and test_loss is None else reason
        self.report()
        return self._result(reason, test_loss)

    def _pause(self) -> Ending | None:
        """Validate if due, and call the hooks; return the reason to end the run, or None."""
        self._validate()
        if self.is_stopping:  # a hook asked to stop during the evaluation
            return "stopped"
        if len(self.losses) > self.n_reported and running_time() >= self.event_due:
            self.report()
        if reason := ending(self.step, self.best, self.config):
            return reason
        for hook in self.hooks:
            hook.on_step(self)
        return "stopped" if self.should_stop() else ending(self.step, self.best, self.config)

    def end(self) -> None:
        """End the run after the current step, without changing the learning-rate schedule."""
        self.plan = replace(self.plan, config=replace(self.config, until=self.step))

    def should_stop(self) -> bool:
        """Return whether a hook has asked to stop, now or earlier."""
        self.is_stopping = self.is_stopping or any(hook.should_stop() for hook in self.hooks)
        return self.is_stopping

    def _take_steps(self) -> None:
        """Train for a short time, at most until an evaluation or the `next_step` of a hook."""
        step, last = self.step, min(self.config.steps, self.config.until or self.config.steps)
        interval = self.config.steps_between_evaluations if self.validation else last
        pauses = [last, (step // interval + 1) * interval]
        pauses += [pause for hook in self.hooks if (pause := hook.next_step(self))]
        losses = self.engine.run(min(pauses))
        has_diverged = bool(losses) and math.isnan(losses[-1])
        taken = losses[:-1] if has_diverged else losses
        self.losses.extend(taken)
        self.history.add(taken)
        if has_diverged:
            self.report()
            raise self.diverged(f"at step {step + len(losses)}")

    def _validate(self) -> None:
        """Measure the validation loss if it is due, and keep the best weights."""
        step, best, config = self.step, self.best, self.config
        is_due = step % config.steps_between_evaluations == 0 or step >= config.steps
        if not (self.validation and step and is_due) or (best and best.measured_at >= step):
            return
        weights = self.engine.flat_weights()
        loss = self.loss(self.validation, weights)
        if loss is None:  # a hook has asked to stop
            return
        if not math.isfinite(loss):
            raise self.diverged(f"after step {step}")
        if best and loss >= best.val_loss:
            self.best = replace(best, measured_at=step, n_worse=best.n_worse + 1)
        else:
            self.best = BestWeights(step, loss, weights, measured_at=step, n_worse=0)
        self.history.mark(loss)
        self.report(loss)

    def loss(self, docs: EvaluationSet, weights: Numbers) -> float | None:
        """Return the loss of the given weights, or None if a hook has asked to stop."""
        plan = self.plan
        model = engine_module(plan.engine).make_model(plan.model, weights, plan.dtype)
        evaluation = docs.evaluate(partial(model.nll, threads=self.threads), self.should_stop)
        return evaluation.loss if evaluation else None

    def _evaluation_set(self, docs: Sequence[Document]) -> EvaluationSet | None:
        """Return held-out documents as an evaluation set, or None if there are no documents."""
        if not docs:
            return None
        tokenizer, size, text = self.plan.tokenizer, self.plan.model.block_size, self.config.text
        at_once = 1 if self.plan.engine == "reference" else AT_ONCE
        return EvaluationSet.from_documents(docs, tokenizer, size, text, at_once=at_once)

    def report(self, val_loss: float | None = None) -> None:
        """Send an event to the hooks if there are new losses or a validation loss."""
        losses = tuple(self.losses[self.n_reported :])
        if losses or val_loss is not None:
            step, n = self.step, len(losses)
            event = TrainEvent(
                step=step,
                steps=self.config.steps,
                losses=losses,
                n_tokens=self._tokens_until(step) - self._tokens_until(step - n),
                val_loss=val_loss,
                seconds=self.seconds,
            )
            self.n_reported = len(self.losses)
            for hook in self.hooks:
                hook.on_event(event)
        self.event_due = running_time() + EVENT_INTERVAL_S

    def _tokens_until(self, step: int) -> int:
        """Return the number of tokens predicted in the first `step` steps."""
        dataset, n_read = self.dataset, step * self.config.batch_size
        rounds, rest = divmod(n_read, len(dataset))
        return rounds * len(dataset.tokens) + dataset.starts[rest] - n_read

    @property
    def seconds(self) -> float:
        """The training time so far, in seconds."""
        before = self.job.resume.seconds if self.job.resume else 0.0
        return before + running_time() - self.started

    def state(self) -> TrainState:
        """Return a copy of the state, from which the run can be resumed."""
        weights, adam_m, adam_v = self.engine.numbers()
        return TrainState(
            step=self.step,
            weights=weights,
            adam_m=adam_m,
            adam_v=adam_v,
            dtype=self.plan.dtype,
            best=self.best,
            recent_losses=tuple(self.history.recent),
            history=tuple(self.history.points),
            since_history=self.history.since_point,
            seconds=self.seconds,
            trained_on=self.plan.trained_on,
        )

    def _result(self, reason: Ending, test_loss: float | None = None) -> TrainResult:
        """Return the training result after the current step."""
        plan, state, train_docs = self.plan, self.state(), self.job.sets.train
        weights = by_name(plan.model, state.final_weights.tolist())
        ancestors = trained_documents(self.job.sets.docs, plan.ancestor_data)
        return TrainResult(
            *(plan.model, weights, plan.tokenizer, plan.dtype),
            plan=plan,
            losses=self.losses,
            state=state,
            ending=reason,
            rng_state=self.rng.getstate(),
            test_loss=test_loss,
            documents=[*dict.fromkeys((*train_docs, *ancestors))] if ancestors else train_docs,
        )

    def diverged(self, when: str) -> DivergedError:
        """Return the error for a run that has diverged."""
        return DivergedError(
            f"the loss or its gradient became nan or infinite {when} of {self.config.steps}; "
            f"try a learning rate well below {self.config.lr_at(0):g}"
        )


class LossHistory:
    """The rolling and down-sampled loss history of a new or resumed training run."""

    def __init__(self, steps: int, state: TrainState | None) -> None:
        self._interval, self._step = max(1, steps // N_POINTS), state.step if state else 0
        self.points = list(state.history if state else ())
        self.recent = deque(state.recent_losses if state else (), maxlen=N_RECENT)
        self.since_point = state.since_history if state else (0.0, 0)  # sum, count since last point

    def add(self, losses: Sequence[float]) -> None:
        """Append the losses of consecutive steps."""
        self.recent.extend(losses)
        total, n = self.since_point
        for loss in losses:
            self._step, total, n = self._step + 1, total + loss, n + 1
            if self._step % self._interval == 0:
                self.points.append(HistoryPoint(self._step, total / n))
                total, n = 0.0, 0
        self.since_point = total, n

    def mark(self, val_loss: float | None = None) -> None:
        """Add a point for the last step, with the validation loss if given."""
        total, n = self.since_point
        if n:
            self.points.append(HistoryPoint(self._step, total / n))
            self.since_point = 0.0, 0
        if val_loss is not None:
            self.points[-1] = replace(self.points[-1], val_loss=val_loss)
