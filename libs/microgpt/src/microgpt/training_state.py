"""Data classes for trained models and for the plan, state, events and result of a training run."""

import random
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from microgpt.config import MAX_SIZE, DType, EngineName, Given, ModelConfig, TrainConfig
from microgpt.data.tokenizer import Tokenizer
from microgpt.early_stopping import BestWeights, Ending
from microgpt.errors import ConfigError
from microgpt.learning_rate import default_lr
from microgpt.model import Weights, weight_shapes
from microgpt.parameters import Numbers, count_params
from microgpt.plugins import Plottable
from microgpt.value import total

if TYPE_CHECKING:  # a model that only generates text does not need these modules
    from microgpt.data.split import DataFacts
    from microgpt.data.tokenizer import Document


@dataclass(frozen=True, repr=False)
class TrainedModel:
    """A trained model, ready for inference."""

    model: ModelConfig
    weights: Weights[float]
    tokenizer: Tokenizer
    dtype: DType  # precision of training and inference

    @property
    def config(self) -> TrainConfig:
        """The training settings, or the defaults if they are unknown."""
        return TrainConfig(lr=default_lr(self.model.n_embd))

    @property
    def trained_on(self) -> "tuple[DataFacts | None, ...]":
        """The training data of the model, its parent and its teachers; None for unknown data."""
        return (None,)

    @property
    def extra(self) -> Mapping[str, Any]:
        """The JSON record of each plug-in, by the name of the plug-in."""
        return {}

    @property
    def sha256(self) -> str:
        """The SHA-256 of the weights."""
        rows = chain.from_iterable(self.weights[name] for name in weight_shapes(self.model))
        return sha256(array("d", chain.from_iterable(rows)).tobytes()).hexdigest()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {count_params(self.model):,} weights, {self.model}>"


@dataclass(frozen=True)
class Ensemble:
    """Teachers that differ only in their seeds. The training plan has the student's settings."""

    n_teachers: Annotated[int, Field(ge=1, le=1000)]
    n_samples: Annotated[int, Field(ge=0, le=MAX_SIZE)]  # number of generated documents
    teacher: TrainConfig  # settings of all teachers; `config_of` replaces the seed

    def config_of(self, i: int) -> TrainConfig:
        """Return the settings of teacher i, counted from 0."""
        digest = sha256(f"{self.teacher.seed}/{i}".encode()).digest()
        return replace(self.teacher, seed=int.from_bytes(digest[:8], "big") >> 1)


class TeacherRecord(NamedTuple):
    """The model directory of a teacher, and the hash of its weights."""

    directory: str  # absolute path of the model directory
    weights_sha256: str


@dataclass(frozen=True)
class HistoryPoint:
    """A point on the loss curve."""

    step: Annotated[int, Field(ge=1, le=MAX_SIZE)]
    loss: float  # mean training loss since the previous point, in nats per token
    val_loss: float | None = None  # validation loss after this step, if it was measured


@dataclass(frozen=True)
class TrainState:
    """A checkpoint. A run resumed from it gives the same result as an uninterrupted run.

    It is saved with the plan. The document order and dropout follow from the seed and the step, so
    no state of a random generator is saved.
    """

    step: int  # number of completed steps
    weights: Numbers = field(repr=False)  # all weights, in the order of `weight_shapes`
    adam_m: Numbers = field(repr=False)  # running mean of each gradient
    adam_v: Numbers = field(repr=False)  # running mean of each squared gradient
    dtype: DType
    best: BestWeights | None = None  # best weights; None before the first evaluation
    recent_losses: Sequence[float] = field(default=(), repr=False)  # last losses, in nats per token
    history: Sequence[HistoryPoint] = field(default=(), repr=False)
    since_history: tuple[float, int] = (0.0, 0)  # sum and count of losses not yet in history
    seconds: float = 0.0  # training time so far, in seconds
    # The `trained_on` of the training result; empty if unknown.
    trained_on: "tuple[DataFacts | None, ...]" = field(default=(), repr=False, compare=False)

    @property
    def train_loss(self) -> float | None:
        """The mean of the recent losses, or None before the first step."""
        losses = self.recent_losses
        return total(losses) / len(losses) if losses else None

    @property
    def final_weights(self) -> Numbers:
        """The weights of a run that ends now: the best, or the latest if none were evaluated."""
        return self.best.weights if self.best else self.weights


@dataclass(frozen=True)
class TrainingPlan:
    """Settings and data of a training run, as recorded in the model directory."""

    model: ModelConfig
    config: TrainConfig
    tokenizer: Tokenizer
    data: "DataFacts"
    input: Path | None = None  # data file; None if the documents are not from a file
    # Recorded `Settings`: those that the user gave, including the time or operation limit, and the
    # requested vocab_size, which can be larger than that of the tokenizer.
    given: Given = field(default_factory=dict)
    parent_sha256: str | None = None  # `weights_sha256` of the parent model in fine-tuning
    ensemble: Ensemble | None = None  # models that are trained first, and then teach this one
    teachers: tuple[TeacherRecord, ...] = ()  # models whose predictions are the training targets
    ancestor_data: "tuple[DataFacts | None, ...]" = ()  # `trained_on` of parent and teachers
    # Fraction of each held-out set that was used in training; None if unknown.
    contamination: dict[str, float | None] = field(default_factory=dict)
    # Held-out losses of count-based models, in nats per character, by name.
    baselines: dict[str, float] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)  # records of plug-ins, by name
    examples: tuple[str, ...] = ()  # messages that the web page of a chat model suggests
    edited_sources: dict[str, str] = field(default_factory=dict)  # hashes of edited source files

    @property
    def engine(self) -> EngineName:
        """The engine that trains the model."""
        assert self.config.engine
        return self.config.engine

    @property
    def dtype(self) -> DType:
        """The precision of the weights."""
        assert self.config.dtype
        return self.config.dtype

    @property
    def trained_on(self) -> "tuple[DataFacts | None, ...]":
        """The training data of the model, its parent and its teachers; None for unknown data."""
        return (self.data, *self.ancestor_data)

    def check_state(self, state: TrainState) -> None:
        """Raise ConfigError unless a checkpoint can belong to this plan."""
        sizes = {len(numbers) for numbers in (state.weights, state.adam_m, state.adam_v)}
        problem = ""
        if state.dtype != self.dtype or sizes != {count_params(self.model)}:
            problem = f"has dtype {state.dtype} or another shape; use those of the checkpoint"
        elif state.trained_on not in ((), self.trained_on):
            problem = "has other documents, split, parent or teachers; pass those of its run"
        elif state.step > self.config.steps:
            steps = f">= {state.step}, the step of the checkpoint, got {self.config.steps}"
            problem = f"is too late: the total number of steps must be {steps}"
        if problem:
            raise ConfigError(f"cannot resume from the checkpoint, which {problem}")


@dataclass(frozen=True)
class TrainEvent:
    """Progress of a training run: losses of new steps and, if measured, the held-out loss."""

    step: int  # number of completed steps
    steps: int  # total number of steps
    losses: Sequence[float]  # loss of each step since the last event, in nats per token
    n_tokens: int  # number of predicted tokens since the last event
    val_loss: float | None = None  # held-out loss in nats per token, if measured
    seconds: float = 0.0  # training time so far, in seconds


@dataclass(frozen=True, repr=False)
class TrainResult(TrainedModel, Plottable):
    """A trained model and its training run; validation selects the weights with the lowest loss.

    `InferenceGpt(result)` generates text, `save(result, path)` writes the model, and
    `result.plot()` draws the losses.
    """

    plan: TrainingPlan
    losses: Sequence[float]  # loss of each step of this `train` call, in nats per token
    state: TrainState  # state after the last step
    ending: Ending
    rng_state: tuple[object, ...]  # final state of the random generator, for sampling
    test_loss: float | None = None  # loss of the test documents, in nats per token
    documents: "Sequence[Document]" = ()  # training documents; `save` writes their hashes

    @property
    def trained_on(self) -> "tuple[DataFacts | None, ...]":
        """The training data of the model, its parent and its teachers; None for unknown data."""
        return self.plan.trained_on

    @property
    def extra(self) -> Mapping[str, Any]:
        """The JSON record of each plug-in, by the name of the plug-in."""
        return self.plan.extra

    @property
    def config(self) -> TrainConfig:
        """The training settings."""
        return self.plan.config

    @property
    def val_loss(self) -> float | None:
        """The lowest held-out loss, in nats per token; None without validation."""
        return self.state.best.val_loss if self.state.best else None

    def rng(self) -> random.Random:
        """Return a random generator that continues from the final state of the training run."""
        rng = random.Random()
        rng.setstate(self.rng_state)
        return rng
