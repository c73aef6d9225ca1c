"""The training loop: optimizer steps, validation, checkpoints and events."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from microgpt.data.contamination import trained_documents
from microgpt.data.tokenizer import Document
from microgpt.errors import MicrogptError
from microgpt.evaluation.held_out_loss import AT_ONCE, EvaluationSet
from microgpt.flat_weights import Numbers, by_name
from microgpt.state import TrainEvent, TrainResult, TrainState
from microgpt.training.engines import check_engine, check_resume, make_engine, make_nll
from microgpt.training.finetune import inherited
from microgpt.training.kept_weights import (
    Ending,
    WeightAverage,
    ending,
    keep_best,
    next_averaged_step,
)
from microgpt.training.loss_history import LossHistory
from microgpt.training.planning import TrainingJob

EVENT_INTERVAL_S = 0.05  # minimum seconds between events; the overhead is not measurable
STATE_INTERVAL_S, STATE_SHARE = 5.0, 1 / 20  # interval and maximum share of time for checkpoints


class DivergedError(MicrogptError):
    """The loss or a gradient became NaN or infinite; `result` covers only the earlier steps."""

    def __init__(self, when: str, result: TrainResult) -> None:
        super().__init__(
            f"the loss or its gradient became nan or infinite {when}; "
            f"try a learning rate well below {result.config.lr_at(0):g}"
        )
        self.result = result


@dataclass
class TrainingLoop:
    """One training run of a job; see `train` for the other fields."""

    job: TrainingJob
    threads: int
    until: int | None
    started: float  # reading of `perf_counter` from which the training time counts
    on_event: Callable[[TrainEvent], None]
    on_state: Callable[[TrainState], None]
    state_every: int | None
    should_stop: Callable[[], bool]
    losses: list[float] = field(default_factory=list)  # losses of this `train` call
    unreported: list[float] = field(default_factory=list)  # losses since the last event

    def __post_init__(self) -> None:
        job, plan, resume = self.job, self.job.plan, self.job.resume
        self.plan, self.config, self.resume = plan, plan.config, resume
        check_engine(plan.engine, plan.dtype, self.threads)
        if resume:
            check_resume(resume, plan)
        self.rng = random.Random(plan.config.seed)
        self.dataset = job.dataset(self.rng, self.threads)
        settings = plan.engine, plan.dtype, plan.model, plan.config
        self.engine = make_engine(
            *settings, self.dataset, self.rng, resume=resume, threads=self.threads
        )
        if job.parent and not resume:
            drawn = self.engine.flat_weights().tolist()
            self.engine.set_weights(inherited(job.parent, plan.model, plan.tokenizer, drawn))
        self.first_step = resume.step if resume else 0
        self.history = LossHistory(self.config, resume)
        self.best = resume.best if resume else job.best
        average = resume.average if resume else None
        # The total number of steps determines which steps are averaged.
        self.average = average if average and average.steps == self.config.steps else None
        self.validation_set = self._evaluation_set(self.job.parts.validation)
        self.event_due = perf_counter() + EVENT_INTERVAL_S
        self.checkpoint_step = resume.step if resume else -1  # latest checkpointed step
        self.state_due = perf_counter() + STATE_INTERVAL_S if resume else 0.0
        self.state_s = 0.0  # duration of the latest checkpoint

    def run(self) -> TrainResult:
        """Train until the last step, an early stop or an interruption, and return the result."""
        while not (reason := self._pause()):
            self._take_steps()
        if not math.isfinite(self.engine.backward(self.should_stop)):
            raise self._diverged(f"after step {self.engine.n_steps}")
        test_loss = None
        if reason != "stopped":
            self.history.mark()
            test_set = self._evaluation_set(self.job.parts.test)
            weights = self.best.weights if self.best else self._weights()
            test_loss = self._loss(test_set, weights) if test_set else None
            reason = "stopped" if test_set and test_loss is None else reason
        self._report()
        return self._result(reason, test_loss)

    def _pause(self) -> Ending | None:
        """Evaluate and save a checkpoint if due. Return the reason to end, or None."""
        self._update_average()
        step = self.engine.n_steps
        if self._is_evaluation_due() and not self._evaluate():
            return "stopped"
        if reason := ending(step, self.best, self.config):
            return reason
        if self._is_state_due():
            self._checkpoint()
        if self.should_stop() or (self.until is not None and step >= self.until):
            return "stopped"
        return None

    def _take_steps(self) -> None:
        """Train for a short time, and report the losses if it is time."""
        step = self.engine.n_steps
        run = self.engine.run(self._next_pause())
        if run and math.isnan(run[-1]):
            self._add_losses(run[:-1])
            raise self._diverged(f"at step {step + len(run)}")
        self._add_losses(run)
        # An evaluation at this step reports the losses, too.
        is_due = perf_counter() >= self.event_due and not self._is_evaluation_due()
        if self.unreported and is_due:
            self._report()

    def _add_losses(self, losses: Sequence[float]) -> None:
        first = self.engine.n_steps - len(losses)
        losses = [
            loss if loss or self._has_targets(step) else math.nan
            for step, loss in enumerate(losses, start=first)
        ]
        self.losses.extend(losses)
        self.unreported.extend(losses)
        self.history.add(losses)

    def _has_targets(self, step: int) -> bool:
        """Return whether a step predicts a token that counts: some documents have no replies."""
        n, dataset = self.config.batch_size, self.dataset
        masks = (dataset.mask_of(i % len(dataset)) for i in range(step * n, (step + 1) * n))
        return any(mask is None or 1 in mask[1:] for mask in masks)

    def _next_pause(self) -> int:
        """Return the next step at which to average, evaluate, save a checkpoint or stop."""
        step, pauses = self.engine.n_steps, [self.config.steps]
        if self.until is not None:
            pauses.append(self.until)
        if averaged := next_averaged_step(step, self.config):
            pauses.append(averaged)
        if self.validation_set:
            pauses.append(_next_multiple(step, self.config.steps_between_evaluations))
        if self.state_every:
            pauses.append(_next_multiple(step, self.state_every))
        return min(pauses)

    def _update_average(self) -> None:
        """Add the current weights to the average if this step is averaged."""
        step, average = self.engine.n_steps, self.average
        if next_averaged_step(step - 1, self.config) != step or (average and average.step == step):
            return
        weights = self.engine.flat_weights()
        self.average = (
            average.updated(weights, step)
            if average
            else WeightAverage(weights, 1, step, self.config.steps)
        )

    def _weights(self) -> Numbers:
        """Return the averaged weights, or the current weights if none are averaged."""
        return self.average.weights if self.average else self.engine.flat_weights()

    def _is_evaluation_due(self) -> bool:
        step = self.engine.n_steps
        is_time = step % self.config.steps_between_evaluations == 0 or step >= self.config.steps
        is_new = not self.best or self.best.measured_at < step
        return bool(self.validation_set and step and is_time and is_new)

    def _evaluate(self) -> bool:
        """Measure the validation loss and keep the best weights; return False if interrupted."""
        assert self.validation_set
        step, weights = self.engine.n_steps, self._weights()
        loss = self._loss(self.validation_set, weights)
        if loss is None:
            return False
        if not math.isfinite(loss):
            raise self._diverged(f"after step {step}")
        self.best = keep_best(self.best, step, loss, weights)
        self.history.mark(loss)
        self._report(loss)
        return True

    def _loss(self, docs: EvaluationSet, weights: Numbers) -> float | None:
        plan = self.plan
        nll = make_nll(plan.engine, plan.dtype, plan.model, weights, threads=self.threads)
        evaluation = docs.evaluate(nll, self.should_stop)
        return evaluation.loss if evaluation else None

    def _evaluation_set(self, docs: Sequence[Document]) -> EvaluationSet | None:
        """Return held-out documents as an evaluation set, or None if there are no documents."""
        if not docs:
            return None
        plan = self.plan
        at_once = 1 if plan.engine == "reference" else AT_ONCE
        return EvaluationSet.of(
            docs, plan.tokenizer, plan.model.block_size, plan.config.text, at_once=at_once
        )

    def _report(self, val_loss: float | None = None) -> None:
        """Call on_event if there are new losses or a validation loss."""
        if self.unreported or val_loss is not None:
            step, n = self.engine.n_steps, len(self.unreported)
            event = TrainEvent(
                step=step,
                steps=self.config.steps,
                losses=tuple(self.unreported),
                n_docs=n * self.config.batch_size,
                n_tokens=self._tokens_until(step) - self._tokens_until(step - n),
                val_loss=val_loss,
            )
            self.unreported.clear()
            self.on_event(event)
        self.event_due = perf_counter() + EVENT_INTERVAL_S

    def _tokens_until(self, step: int) -> int:
        """Return the number of tokens predicted in the first `step` steps."""
        dataset, n_read = self.dataset, step * self.config.batch_size
        rounds, rest = divmod(n_read, len(dataset))
        return rounds * len(dataset.tokens) + dataset.starts[rest] - n_read

    def _is_state_due(self) -> bool:
        step = self.engine.n_steps
        if step == self.checkpoint_step:
            return False
        if self.state_every:
            return step % self.state_every == 0
        return perf_counter() >= self.state_due

    def _checkpoint(self) -> None:
        started = perf_counter()
        self.on_state(self._state())
        now = perf_counter()
        self.checkpoint_step = self.engine.n_steps
        # One slow write, such as the first or one during a pause, does not delay the next.
        usual_s, self.state_s = min(self.state_s, now - started), now - started
        self.state_due = now + max(STATE_INTERVAL_S, usual_s / STATE_SHARE)

    def _state(self) -> TrainState:
        weights, adam_m, adam_v = self.engine.numbers()
        before = self.resume.seconds if self.resume else 0.0
        return TrainState(
            step=self.engine.n_steps,
            weights=weights,
            adam_m=adam_m,
            adam_v=adam_v,
            dtype=self.plan.dtype,
            engine=self.plan.engine,
            best=self.best,
            recent_losses=tuple(self.history.recent),
            history=tuple(self.history.points),
            since_history=self.history.since_point,
            seconds=before + perf_counter() - self.started,
            average=self.average,
            trained_on=(self.plan.data, *self.plan.ancestor_data),
        )

    def _result(self, reason: Ending, test_loss: float | None = None) -> TrainResult:
        """Return the training result after the current step."""
        state, parts = self._state(), self.job.parts
        weights = state.final_weights(self.config.steps)
        ancestors = trained_documents(parts.docs, self.plan.ancestor_data)
        return TrainResult(
            model=self.plan.model,
            weights=by_name(self.plan.model, weights.tolist()),
            tokenizer=self.plan.tokenizer,
            dtype=self.plan.dtype,
            plan=self.plan,
            losses=self.losses,
            state=state,
            ending=reason,
            rng_state=self.rng.getstate(),
            test_loss=test_loss,
            documents=[*dict.fromkeys((*parts.train, *ancestors))] if ancestors else parts.train,
        )

    def _diverged(self, when: str) -> DivergedError:
        """Undo the diverged step if it belongs to this `train` call, and return the error."""
        if self.engine.n_steps > self.first_step:
            self.engine.undo()
            del self.losses[self.engine.n_steps - self.first_step :]
            self.average = None  # the average may include diverged weights
            self.history = self.history.replay(self.losses)
        return DivergedError(f"{when} of {self.config.steps}", self._result("stopped"))


def _next_multiple(step: int, n: int) -> int:
    return (step // n + 1) * n
