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
    from microgpt.training.history_file import HistoryPoint
    from microgpt.training.kept_weights import BestWeights, Ending, WeightAverage

MAX_TEACHERS = 1000  # of an ensemble; guards against damaged files
N_RECENT = 100  # number of losses in a checkpoint; meta.json contains their mean as train_loss


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
        return f"<{type(self).__name__}: {self._summary()}>"

    def _summary(self) -> str:
        model = self.model
        return (
            f"{count_params(model):,} weights, n_layer {model.n_layer}, n_embd {model.n_embd}, "
            f"block_size {model.block_size}, vocab_size {model.vocab_size}"
        )


class TeacherRecord(NamedTuple):
    """A teacher of a training run."""

    directory: str  # absolute path, encoded by `path_to_text`
    weights_sha256: str


@dataclass(frozen=True)
class Ensemble:
    """Teachers that differ in their seeds, and a student of their mean predictions."""

    n_teachers: int
    n_samples: int  # number of documents that the teachers make up for the student
    teacher: TrainConfig  # settings of the teachers, with the seed of the run
    student: TrainConfig
    ngram_weight: float | None = None  # of an n-gram model in their targets; None: not yet chosen

    def config_of(self, i: int) -> TrainConfig:
        """Return the settings of a teacher, counted from 0, or of the student, which comes last."""
        if i >= self.n_teachers:
            return self.student
        digest = sha256(f"{self.teacher.seed}/{i}".encode()).digest()
        return replace(self.teacher, seed=int.from_bytes(digest[:8], "big") >> 1)

    def fits(self, config: TrainConfig, n_trained: int, *, is_complete: bool) -> bool:
        """Return whether this ensemble is valid for a run with n_trained trained teachers.

        Args:
            config: settings of the model that is being trained or, at the end, of the student.
        """
        n = self.n_teachers
        if not (1 <= n <= MAX_TEACHERS and n_trained <= n and 0 <= self.n_samples <= MAX_SIZE):
            return False
        if not 0 <= (self.ngram_weight or 0) < 1:
            return False
        own = self.config_of(n if is_complete else n_trained)
        return replace(config, until=own.until) == own

    def name_of(self, i: int) -> str:
        """Return the name of a model, such as "teacher 2 of 6"."""
        return f"teacher {i + 1} of {self.n_teachers}" if i < self.n_teachers else "student"


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
    # If there is one, `config` is that of the model that is being trained.
    ensemble: Ensemble | None = None

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

    def with_engine(self, engine: EngineName) -> "TrainingPlan":
        """Return the plan with another engine."""
        config, ensemble = replace(self.config, engine=engine), self.ensemble
        if ensemble:
            teacher, student = ensemble.teacher, ensemble.student
            ensemble = replace(
                ensemble,
                teacher=replace(teacher, engine=engine),
                student=replace(student, engine=engine),
            )
        return replace(self, config=config, ensemble=ensemble)

    def model_of(self, state: "TrainState") -> str:
        """Return a phrase that names the model of a state, such as " of teacher 2 of 6"."""
        return f" of {self.ensemble.name_of(len(state.teachers))}" if self.ensemble else ""

    def at(self, i: int) -> "TrainingPlan":
        """Return the plan of a model of the ensemble: a teacher, counted from 0, or the student."""
        return replace(self, config=self.ensemble.config_of(i)) if self.ensemble else self

    def with_steps(self, steps: int) -> "TrainingPlan":
        """Return the plan with another number of steps, and with warm-ups in proportion.

        The steps of an ensemble are those of a teacher; the student's change in proportion.
        """
        before, ensemble = self.config.steps, self.ensemble

        def scaled(config: TrainConfig) -> TrainConfig:
            n = max(1, config.steps * steps // before)
            return replace(config, steps=n, warmup_steps=config.warmup_steps * n // config.steps)

        if ensemble:
            teacher, student = scaled(ensemble.teacher), scaled(ensemble.student)
            ensemble = replace(ensemble, teacher=teacher, student=student)
        return replace(self, config=scaled(self.config), ensemble=ensemble)

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
    what: str = ""  # which model of an ensemble is being trained
    seconds: float = 0.0  # training time so far, without pauses of the program


@dataclass(frozen=True)
class TrainedTeacher:
    """A teacher of an ensemble after its training."""

    weights: Numbers = field(repr=False)
    val_loss: float | None  # held-out loss in nats per token, if measured


@dataclass(frozen=True)
class TrainState:
    """A checkpoint. A run resumed from it gives the same result as an uninterrupted run."""

    step: int  # number of completed steps
    weights: Numbers = field(repr=False)  # all weights, in the order of `weight_shapes`
    adam_m: Numbers = field(repr=False)  # running mean of each gradient
    adam_v: Numbers = field(repr=False)  # running mean of each squared gradient
    dtype: DType
    engine: EngineName
    best: "BestWeights | None" = None  # best weights; None before the first evaluation
    recent_losses: Sequence[float] = field(default=(), repr=False)  # in nats, without NaN
    history: "Sequence[HistoryPoint]" = field(default=(), repr=False)
    since_history: tuple[float, int] = (0.0, 0)  # sum and count of losses not yet in history
    seconds: float = 0.0  # training time so far, in seconds
    average: "WeightAverage | None" = None  # running average of the weights, if enabled
    teachers: tuple[TrainedTeacher, ...] = ()  # of an ensemble, until the student has been trained
    # What decides the rounding of the compiled engine (`processor.ROUNDING`), if it is recorded.
    rounding: str | None = field(default=None, repr=False, compare=False)
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
        if self.teachers and not self.step:  # the model itself has learned nothing yet
            return self.teachers[-1].weights
        # The total number of steps determines which steps are averaged.
        is_valid = self.average and self.average.steps == steps
        return self.average.weights if self.average and is_valid else self.weights


@dataclass(frozen=True, repr=False)
class TrainResult(TrainedModel, Plottable):
    """A trained model and its training run. With validation, the model has the best weights.

    `InferenceGpt(result)` generates text, `save(result, path)` writes the model, and
    `result.plot()` draws the losses. A notebook shows the losses and, for a text model, samples.
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
        return (self.data, *self.plan.ancestor_data)

    @property
    def extra(self) -> Mapping[str, Any]:
        """The records of plug-ins, in JSON, by the name of the plug-in."""
        return self.plan.extra

    @property
    def config(self) -> TrainConfig:
        """The training settings."""
        return self.plan.config

    @property
    def data(self) -> "DataFacts":
        """Size, hash and held-out fractions of the dataset."""
        return self.plan.data

    @property
    def val_loss(self) -> float | None:
        """The lowest held-out loss, in nats per token; None without validation."""
        return self.state.best.val_loss if self.state.best else None

    @property
    def seconds(self) -> float:
        """The training time in seconds."""
        return self.state.seconds

    def _summary(self) -> str:
        from microgpt.data.contamination import mark  # not for those who only read

        mean, val_loss = self.state.train_loss, self.val_loss
        loss = "" if mean is None else f"; mean loss {mean:.3f}"
        share = self.plan.contamination.get("validation", 0.0)
        held_out = "" if val_loss is None else f"; held-out loss {val_loss:.3f}{mark(share)}"
        return f"{super()._summary()}; {self.state.step:,} steps{loss}{held_out}"

    def rng(self) -> random.Random:
        """Return a random generator that continues from the final state of the training run."""
        rng = random.Random()
        rng.setstate(self.rng_state)
        return rng
