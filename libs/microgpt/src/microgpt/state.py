"""Training plan, events, checkpoints and results."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from microgpt.config import (
    MAX_SIZE,
    DType,
    EngineName,
    Given,
    ModelConfig,
    TrainConfig,
    checked,
    default_lr,
)
from microgpt.data.tokenizer import Tokenizer
from microgpt.flat_weights import Numbers, count_params
from microgpt.model import Weights
from microgpt.plotting import Plottable
from microgpt.value import total

if TYPE_CHECKING:  # a model that only generates needs none of them
    from microgpt.data.read_options import ReadOptions
    from microgpt.data.split import DataFacts
    from microgpt.data.tokenizer import Document
    from microgpt.training.kept_weights import BestWeights, Ending, WeightAverage
    from microgpt.training.loss_history import HistoryPoint


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
        """The records of plug-ins, in JSON, by the name of the plug-in."""
        return {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {count_params(self.model):,} weights, {self.model}>"


MAX_TEACHERS = 1000  # guards against damaged files
CHANGED = ("steps", "warmup_steps", "dropout", "weight_decay", "patience")  # in the student


@dataclass(frozen=True)
class Ensemble:
    """Teachers that differ in their seeds. The settings of their student are those of the plan."""

    n_teachers: int
    n_samples: int  # number of documents that the teachers make up for the student
    teacher: TrainConfig  # settings of the teachers, with the seed of the run
    student_steps: int

    def __post_init__(self) -> None:
        """Check the numbers, which may come from a damaged file."""
        for name, least in (("n_teachers", 1), ("n_samples", 0), ("student_steps", 1)):
            maximum = MAX_TEACHERS if name == "n_teachers" else MAX_SIZE
            checked(name, getattr(self, name), int, minimum=least, maximum=maximum)

    def config_of(self, i: int) -> TrainConfig:
        """Return the settings of a teacher, counted from 0."""
        digest = sha256(f"{self.teacher.seed}/{i}".encode()).digest()
        return replace(self.teacher, seed=int.from_bytes(digest[:8], "big") >> 1)

    def given(self, given: Given) -> Given:
        """Return the recorded settings of a student with those that choose its ensemble again."""
        names = CHANGED[:1] if given.get("budget") else CHANGED
        found = {name: getattr(self.teacher, name) for name in names}
        found = {name: value for name, value in found.items() if value is not None}
        return {**given, **found, "n_teachers": self.n_teachers}


class TeacherRecord(NamedTuple):
    """A teacher of a training run."""

    directory: str  # absolute path, encoded by `path_to_text`
    weights_sha256: str


@dataclass(frozen=True)
class TrainingPlan:
    """Settings and data of a training run, as recorded in the model directory."""

    model: ModelConfig
    config: TrainConfig
    tokenizer: Tokenizer
    data: "DataFacts"
    input: Path | None = None  # data file; None if the documents come from elsewhere
    # The `Settings` that tell how the run came about: those that a user gave, the limit for which
    # the rest was chosen, and the requested vocab_size, which may be larger.
    given: Given = field(default_factory=dict)
    parent_sha256: str | None = None  # `weights_sha256` of the parent model in fine-tuning
    ensemble: Ensemble | None = None  # models that are trained first, and then teach this one
    teachers: tuple[TeacherRecord, ...] = ()  # models whose predictions are the targets
    ancestor_data: "tuple[DataFacts | None, ...]" = ()  # `trained_on` of parent and teachers
    # The share of each held-out set that was read in training; None if it is unknown.
    contamination: dict[str, float | None] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)  # records of plug-ins, by name
    examples: tuple[str, ...] = ()  # messages that the page of a chat model offers
    edited_sources: dict[str, str] = field(default_factory=dict)  # hashes, for the reference engine
    # Earlier parts of a run that was resumed with another number of steps: the number of steps,
    # and the step after which the part ended.
    legs: tuple[tuple[int, int], ...] = ()

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
    def read_options(self) -> "ReadOptions":
        """How the documents are read."""
        from microgpt.data.read_options import ReadOptions

        text, chat = self.config.text, self.tokenizer.is_chat
        return ReadOptions.of({**self.given, "text": text, "chat": chat})


@dataclass(frozen=True)
class TrainEvent:
    """Progress of a training run: losses of new steps and, if measured, the held-out loss."""

    step: int  # number of completed steps
    steps: int  # total number of steps
    losses: Sequence[float]  # as in `TrainResult`, since the last event
    n_docs: int  # number of documents or chunks read since the last event
    n_tokens: int  # number of predicted tokens since the last event
    val_loss: float | None = None  # held-out loss in nats per token, if measured
    seconds: float = 0.0  # training time so far, without pauses of the program


@dataclass(frozen=True)
class TrainState:
    """A checkpoint. A run resumed from it gives the same result as an uninterrupted run."""

    step: int  # number of completed steps
    weights: Numbers = field(repr=False)  # all weights, in the order of `weight_shapes`
    adam_m: Numbers = field(repr=False)  # running mean of each gradient
    adam_v: Numbers = field(repr=False)  # running mean of each squared gradient
    dtype: DType
    best: "BestWeights | None" = None  # best weights; None before the first evaluation
    recent_losses: Sequence[float] = field(default=(), repr=False)  # in nats, without NaN
    history: "Sequence[HistoryPoint]" = field(default=(), repr=False)
    since_history: tuple[float, int] = (0.0, 0)  # sum and count of losses not yet in history
    seconds: float = 0.0  # training time so far, in seconds
    average: "WeightAverage | None" = None  # running average of the weights, if enabled
    # `trained_on` of the result; empty if it is unknown.
    trained_on: "tuple[DataFacts | None, ...]" = field(default=(), repr=False, compare=False)

    @property
    def train_loss(self) -> float | None:
        """The mean of the recent losses, or None before the first step."""
        losses = self.recent_losses
        return total(losses) / len(losses) if losses else None

    def final_weights(self, steps: int) -> Numbers:
        """Return the final weights of a run of `steps` steps that ends at this checkpoint.

        These are the weights with the lowest held-out loss, else the average, else the latest.
        """
        if self.best:
            return self.best.weights
        # The total number of steps determines which steps are averaged.
        is_valid = self.average and self.average.steps == steps
        return self.average.weights if self.average and is_valid else self.weights


@dataclass(frozen=True, repr=False)
class TrainResult(TrainedModel, Plottable):
    """A trained model and its training run. With validation, the model has the best weights.

    `InferenceGpt(result)` generates text, `save(result, path)` writes the model, and
    `result.plot()` draws the losses.
    """

    plan: TrainingPlan
    # Loss of each step of this `train` call, in nats per token; NaN if a step predicts no token
    # that counts.
    losses: Sequence[float]
    state: TrainState  # final state
    ending: "Ending"
    rng_state: tuple[object, ...]  # final state of the random generator, for sampling
    test_loss: float | None = None  # loss of the test documents, in nats per token
    documents: "Sequence[Document]" = ()  # training documents, of which `save` writes hashes

    @property
    def trained_on(self) -> "tuple[DataFacts | None, ...]":
        """The training data of the model, its parent and its teachers; None for unknown data."""
        return (self.plan.data, *self.plan.ancestor_data)

    @property
    def extra(self) -> Mapping[str, Any]:
        """The records of plug-ins, in JSON, by the name of the plug-in."""
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
