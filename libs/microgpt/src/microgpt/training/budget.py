"""The cost of a training run in operations, the speed of this machine, and time limits.

The time of a training run is proportional to its operations. The command line sets a `TimeLimit`;
`Fitting.fit` measures the speed on random documents, and `choice.choose` derives the settings from
the speed. During the run, `Deadline` measures again, and restarts a run that would end too early or
too late. `--budget` and `--steps` reproduce the result without a measurement.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt.config import MAX_SIZE, EngineName, ModelConfig, TextKind, TrainConfig
from microgpt.data.statistics import measure
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import Document, Tokenizer
from microgpt.flat_weights import count_params
from microgpt.muon import N_ITERATIONS
from microgpt.training.engines import EngineTraining, make_training
from microgpt.training.hooks import Hook

if TYPE_CHECKING:
    from microgpt.training.loop import TrainingLoop
    from microgpt.training.planning import TrainingJob

# A floating-point operation of a matrix product counts as one operation. Other work is counted by
# its time relative to that of a matrix product, as measured for 80 shapes on an AMD EPYC (Zen 5)
# (bench/studies/operations.py, removed after commit a922fbb8).
ATTENTION = 2.0  # cost per floating-point operation in attention
ELEMENTS = 20_000  # cost per token and layer of norms, activations and residual connections
SOFTMAX = 40  # cost per token and entry of the vocabulary
OPTIMIZER = 20  # cost per weight and step
MUON = 0.7  # cost per floating-point operation of Muon
STEP = 5e6  # cost per step

N_PARTS, PART_S = 4, 0.1  # number of measurements, and seconds each; the median resists outliers
N_TIMED = 4  # maximum number of tokens per document when the reference engine is timed
# Operations per second, assumed before a measurement: those of one core of an AMD EPYC (Zen 5).
TYPICAL: dict[EngineName, float] = {"compiled": 1.8e11, "reference": 2e7}

# Seconds reserved for start-up and final samples, for writing each weight, and for chat replies.
RESERVE_S, RESERVE_PER_WEIGHT_S, REPLIES_S = 0.4, 3e-6, 0.6
WARM_UP_S = 0.5  # time before the measurement; the first steps are slower, because caches are cold
# Duration of the speed measurement: fraction of the time limit, and minimum in seconds.
MEASURED, MEASURED_S = 0.02, 1.0
# Fractions of the time limit. A run restarts if it is expected to end early by EXPECTED_EARLY, or
# late by EXPECTED_LATE. It ends, even if incomplete, when it exceeds the time limit by LATE.
EXPECTED_EARLY, EXPECTED_LATE, LATE = 0.06, 0.015, 0.03
LIMITING = 0.9  # a run that uses more than this fraction of its budget is limited by the budget


def step_operations(model: ModelConfig, config: TrainConfig, length: float) -> float:
    """Return the cost of a training step, given the mean number of predictions per chunk.

    A matrix weight takes 2 operations per token in the forward pass and 4 in the backward pass
    (Kaplan et al. 2020, table 1), and each multiply-add in attention costs the same.
    """
    C, L, V = model.n_embd, model.n_layer, model.vocab_size
    n_tokens = config.batch_size * length
    products = 6 * (L * (4 + 2 * model.n_ff_exp) * C**2 + V * C)
    attention = ATTENTION * 6 * L * C * (length + 1)
    operations = n_tokens * (products + attention + ELEMENTS * L + SOFTMAX * V)
    operations += OPTIMIZER * count_params(model) + STEP
    if config.optimizer == "muon":
        square, tall = 6 * C**3, (4 * model.n_ff_exp + 2) * C**3  # operations per matrix, by shape
        operations += MUON * L * (N_ITERATIONS * (4 * square + 2 * tall))
    return operations


def evaluation_operations(model: ModelConfig, length: float, n_tokens: float) -> float:
    """Return the cost of computing the loss of n_tokens tokens, a third of the training cost."""
    config = TrainConfig(batch_size=1)
    fixed = OPTIMIZER * count_params(model) + STEP
    return (step_operations(model, config, length) - fixed) / 3 * n_tokens / length


def held_out_operations(
    docs: Sequence[Document], model: ModelConfig, tokenizer: Tokenizer, text: TextKind
) -> float:
    """Return the cost of scoring held-out documents, or 0 if there are none."""
    if not docs:
        return 0.0
    sizes = measure(docs, tokenizer, text)
    length = sizes.chunk_length(model.block_size)
    is_long = sizes.mean_length > model.block_size  # overlapping windows read each token twice
    return evaluation_operations(model, length, (2 if is_long else 1) * sizes.n_tokens)


def operations_per_second(
    model: ModelConfig, config: TrainConfig, *, length: float, threads: int
) -> float:
    """Return the operations per second of training steps on random chunks, measured for 0.4 s."""
    n_tokens = max(1, round(length))
    # The reference engine's time is proportional to the tokens, so it is timed on a short document.
    is_scalar = config.engine == "reference"
    batch_size, n_read = (1, min(N_TIMED, n_tokens)) if is_scalar else (config.batch_size, n_tokens)
    rng = random.Random(0)
    docs = TokenDataset(
        [rng.randrange(model.vocab_size) for _ in range(n_read + 1)] for _ in range(batch_size)
    )
    # The timed run has no step limit, and its learning rate is too low to diverge.
    timed = replace(config, steps=MAX_SIZE, batch_size=batch_size, lr=1e-6, weight_decay=0.0)
    engine = make_training(model, timed, docs, rng, threads)
    speeds = [_steps_per_second(engine) for _ in range(N_PARTS)]  # the first only fills caches
    share = batch_size * n_read / (config.batch_size * n_tokens)
    return median(speeds[1:]) * share * step_operations(model, config, n_tokens)


def _steps_per_second(engine: EngineTraining) -> float:
    """Return the steps per second, measured over at least one step and PART_S seconds."""
    started, first = perf_counter(), engine.n_steps
    while engine.n_steps == first or perf_counter() < started + PART_S:
        engine.run(MAX_SIZE)
    return (engine.n_steps - first) / (perf_counter() - started)


@dataclass
class TimeLimit:
    """The time limit of a run, which does not include compilation."""

    minutes: float
    started: float  # value of `clock` when the run started
    reserve_s: float = RESERVE_S
    clock: Callable[[], float] = perf_counter  # returns the time in seconds

    @property
    def seconds(self) -> float:
        """The time limit in seconds."""
        return 60 * self.minutes

    def seconds_left(self) -> float:
        """Return the remaining time for training, in seconds."""
        return self.started + self.seconds - self.reserve_s - self.clock()

    def extend(self, seconds: float) -> None:
        """Exclude the given number of seconds from the limit."""
        self.started += seconds

    def reserve_for(self, model: ModelConfig, *, is_chat: bool) -> None:
        """Reserve the time to write a model and to generate the replies of a chat model."""
        self.reserve_s += RESERVE_PER_WEIGHT_S * count_params(model) + REPLIES_S * is_chat


class Deadline(Hook):
    """A hook that ends a run at its time limit, and measures how many steps fit into the time."""

    def __init__(self, job: "TrainingJob", cost_ratio: float | None) -> None:
        """Measure the speed, unless cost_ratio (see `Place`) is None; `job` must have a limit."""
        assert job.limit
        self.restart_with_steps: int | None = None  # number of steps for a restart, if needed
        self._job, self._limit, self._cost_ratio = job, job.limit, cost_ratio
        self._left_before, self._left_at_start = job.limit.seconds_left(), 0.0
        self._first: tuple[float, float] | None = None  # time left and work done after warm-up

    def on_step(self, run: "TrainingLoop") -> None:
        """Measure the speed of the run, and end the run if its time is up."""
        left = self._limit.seconds_left()
        if self._cost_ratio is not None:
            self._measure(run, left, self._cost_ratio)
        if run.step and left < -LATE * self._limit.seconds:
            run.end()

    def should_stop(self) -> bool:
        """Return whether the run must restart with another number of steps."""
        return self.restart_with_steps is not None

    def _measure(self, run: "TrainingLoop", left: float, cost_ratio: float) -> None:
        """Set `restart_with_steps` if the run would end too early or too late."""
        step_cost, validation, test = self._costs

        def work(step: int) -> float:
            """Return the cost of the first `step` steps with evaluations, relative to one step."""
            n_evaluations, rest = divmod(step, run.config.steps_between_evaluations)
            return step + (n_evaluations + (step == steps and rest > 0)) * validation

        steps = run.config.steps
        done = work(run.step)
        self._left_at_start = self._left_at_start or left
        if not self._first and run.step and left <= self._left_at_start - WARM_UP_S:
            self._first = left, done
        seconds = max(MEASURED_S, MEASURED * self._limit.seconds)
        if not self._first or done == self._first[1] or self._first[0] - left < seconds:
            return
        self._cost_ratio = None
        per_step = (self._first[0] - left) / (done - self._first[1])
        whole = cost_ratio * work(steps) + test
        late = ((whole - done) * per_step - left) / self._limit.seconds
        # A student's steps are not increased: its teachers would have to predict more targets.
        given, budget = self._job.plan.given, math.inf
        if not self._job.teachers:
            budget = given.get("budget", math.inf) / step_cost
        if late > EXPECTED_LATE or (late < -EXPECTED_EARLY and whole > LIMITING * budget):
            setup_s = self._left_before - self._left_at_start  # a restart repeats the preparation
            self.restart_with_steps = max(1, int(steps * (left - setup_s) / (whole * per_step)))

    @cached_property
    def _costs(self) -> tuple[float, float, float]:
        """The cost of a step in operations, and the cost of scoring each held-out set in steps."""
        sets, plan, chunks = self._job.sets, self._job.plan, self._job.chunks
        length = max(1.0, chunks.n_tokens / max(1, len(chunks)))
        step = step_operations(plan.model, plan.config, length)
        validation, test = (
            held_out_operations(docs, plan.model, plan.tokenizer, plan.config.text) / step
            for docs in (sets.validation, sets.test)
        )
        return step, validation, test
