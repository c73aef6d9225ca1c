"""What a training tells while it runs and leaves when it ends.

This module knows nothing of how training works or of files.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from microgpt.config import DType, ModelConfig, TrainConfig
from microgpt.model import Weights
from microgpt.tokenizer import CharTokenizer


@dataclass(frozen=True)
class TrainedModel:
    """All that is needed to use a model: its shape, its weights, its alphabet.

    Attributes:
        dtype: of the numbers that it was trained in and is used in.
    """

    model: ModelConfig
    weights: Weights[float]
    tokenizer: CharTokenizer
    dtype: DType


@dataclass(frozen=True)
class TrainEvent:
    """A run of steps that has just been taken.

    Attributes:
        step: the steps taken since the beginning of the training.
        steps: the steps that it will have.
        losses: the loss of each step of this run, in nats a token; the last is that of `step`.
    """

    step: int
    steps: int
    losses: Sequence[float]


@dataclass(frozen=True)
class TrainState:
    """Where a training stands: going on from here gives what never stopping would have given.

    Attributes:
        step: the steps taken.
        weights: the weights after them.
        adam_m: the running mean of each weight's gradient, in the order of `weight_shapes`.
        adam_v: the running mean of its square.
        losses: the loss of each step, in nats a token.
        dtype: of the numbers that they were computed in.
    """

    step: int
    weights: Weights[float]
    adam_m: Sequence[float]
    adam_v: Sequence[float]
    losses: Sequence[float]
    dtype: DType


@dataclass(frozen=True)
class TrainResult(TrainedModel):
    """A model that was trained, and how.

    Attributes:
        config: the course of the training.
        state: where it ended: `state.step` is less than `config.steps` if it was stopped.
        rng_state: the state of the training's random numbers, for samples that continue them.
        n_docs: the documents it learnt from.
        data_sha256: their fingerprint.
        seconds: how long it took.
    """

    config: TrainConfig
    state: TrainState
    rng_state: tuple[object, ...]
    n_docs: int
    data_sha256: str
    seconds: float

    @property
    def losses(self) -> Sequence[float]:
        """The loss of each step, in nats a token."""
        return self.state.losses

    def rng(self) -> random.Random:
        """Return a generator of random numbers that goes on where the training left off."""
        rng = random.Random()
        rng.setstate(self.rng_state)
        return rng
