"""What a training tells while it runs and leaves when it ends."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig
from microgpt.data.dataset import DataFacts
from microgpt.data.tokenizer import Tokenizer
from microgpt.flat_weights import Numbers
from microgpt.model import Weights
from microgpt.training.history_file import HistoryPoint
from microgpt.training.weight_averaging import WeightAverage

N_RECENT = 100  # losses that a state keeps: the mean of so many says how well the model has learnt
Ending = Literal["steps", "patience", "stopped"]  # all taken; no better for too long; asked to stop


@dataclass(frozen=True)
class TrainedModel:
    """All that is needed to use a model: its shape, its weights, its alphabet.

    Attributes:
        dtype: of the numbers that it was trained in and is used in.
    """

    model: ModelConfig
    weights: Weights[float]
    tokenizer: Tokenizer
    dtype: DType


@dataclass(frozen=True)
class TrainEvent:
    """A run of steps that has just been taken, or the held-out loss after them.

    Attributes:
        step: the steps taken since the beginning of the training.
        steps: the steps that it will have.
        losses: the loss of each step of this run, in nats a token; the last is that of `step`.
            There are none where a resumed training begins by measuring the held-out loss.
        n_docs: the documents, or pieces of long ones, that were read in it.
        n_tokens: the tokens that were predicted in it.
        val_loss: the held-out loss after it, in nats a token, where it was measured.
    """

    step: int
    steps: int
    losses: Sequence[float]
    n_docs: int
    n_tokens: int
    val_loss: float | None = None


@dataclass(frozen=True)
class Best:
    """The weights with the lowest held-out loss so far.

    Attributes:
        step: when they were reached.
        val_loss: that loss, in nats a token.
        weights: as in `TrainState`.
        measured_at: the step of the last measurement.
        n_worse: the measurements since the best.
    """

    step: int
    val_loss: float
    weights: Numbers
    measured_at: int
    n_worse: int


@dataclass(frozen=True)
class TrainState:
    """Where a training stands: going on from here gives what never stopping would have given.

    Attributes:
        step: the steps taken.
        weights: the weights after them, in the order of `weight_shapes`.
        adam_m: the running mean of each weight's gradient.
        adam_v: the running mean of its square.
        dtype: of the numbers that they were computed in.
        engine: which one computed them.
        best: of the held-out loss, once it was measured.
        recent_losses: those of the last 100 steps, in nats a token.
        history: the course so far.
        since_history: the sum and the number of the losses since the last point of the history.
        seconds: what the steps took.
        average: the mean of the last weights, where they are averaged.
    """

    step: int
    weights: Numbers
    adam_m: Numbers
    adam_v: Numbers
    dtype: DType
    engine: EngineName
    best: Best | None = None
    recent_losses: Sequence[float] = ()
    history: Sequence[HistoryPoint] = ()
    since_history: tuple[float, int] = (0.0, 0)
    seconds: float = 0.0
    average: WeightAverage | None = None


def ending(step: int, best: Best | None, config: TrainConfig) -> Ending | None:
    """Return why there is nothing more to do after a step, if so."""
    if step >= config.steps:
        return "steps"
    return "patience" if best and config.patience and best.n_worse >= config.patience else None


@dataclass(frozen=True)
class TrainResult(TrainedModel):
    """A model that was trained, and how: with the best weights where a held-out loss chose them.

    Attributes:
        config: the course of the training.
        losses: the loss of each step that was taken in this call of `train`, in nats a token.
        state: where it ended.
        ending: why.
        rng_state: the state of the training's random numbers, for samples that continue them.
        data: what it learnt from.
        test_loss: on documents that were held out to the end, in nats a token.
        preset: the name that its settings came from, if they did.
        parent_sha256: the `weights_sha256` of the model that it began with, if it was a saved one.
        genome_sha256: of the genome.json that its settings came from, if they did.
    """

    config: TrainConfig
    losses: Sequence[float]
    state: TrainState
    ending: Ending
    rng_state: tuple[object, ...]
    data: DataFacts
    test_loss: float | None = None
    preset: str | None = None
    parent_sha256: str | None = None
    genome_sha256: str | None = None

    @property
    def val_loss(self) -> float | None:
        """The held-out loss of the weights, in nats a token."""
        return self.state.best.val_loss if self.state.best else None

    @property
    def seconds(self) -> float:
        """How long the training took."""
        return self.state.seconds

    def rng(self) -> random.Random:
        """Return a generator of random numbers that goes on where the training left off."""
        rng = random.Random()
        rng.setstate(self.rng_state)
        return rng
