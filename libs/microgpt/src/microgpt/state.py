"""Training plan, events, checkpoints and results."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig, WeightsFormat
from microgpt.data.split import DataFacts
from microgpt.data.tokenizer import Tokenizer
from microgpt.flat_weights import Numbers
from microgpt.model import Weights, count_params
from microgpt.training.early_stopping import BestWeights, Ending
from microgpt.training.history_file import HistoryPoint
from microgpt.training.presets import PresetName
from microgpt.training.weight_averaging import WeightAverage
from microgpt.value import total

N_RECENT = 100  # losses in a checkpoint; their mean is train_loss in meta.json


@dataclass(frozen=True, repr=False)
class TrainedModel:
    """A model for inference."""

    model: ModelConfig
    weights: Weights[float]
    tokenizer: Tokenizer
    dtype: DType  # of training and inference

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._summary()}>"

    def _summary(self) -> str:
        model = self.model
        return (
            f"{count_params(model):,} weights, n_layer {model.n_layer}, n_embd {model.n_embd}, "
            f"block_size {model.block_size}, vocab_size {model.vocab_size}"
        )


@dataclass(frozen=True)
class TrainingPlan:
    """The settings and data of a training; what its model directory records of it."""

    model: ModelConfig
    config: TrainConfig
    tokenizer: Tokenizer
    engine: EngineName
    dtype: DType
    data: DataFacts
    input: Path | None = None  # the file of documents; None for a preset's own data
    vocab_size_wanted: int | None = None  # requested subword tokens; there may be fewer
    weights_format: WeightsFormat | None = None  # of the saved model, if requested
    preset: PresetName | None = None
    parent_sha256: str | None = None  # `weights_sha256` of the fine-tuned model
    genome_sha256: str | None = None  # of the genome.json with its settings


@dataclass(frozen=True)
class TrainEvent:
    """Consecutive training steps, or the held-out loss after them."""

    step: int  # steps taken since the start of the training
    steps: int  # steps in the whole training
    losses: Sequence[float]  # per step since the last event, in nats per token; may be empty
    n_docs: int  # documents, or chunks of long ones, read since the last event
    n_tokens: int  # tokens predicted since the last event
    val_loss: float | None = None  # in nats per token, if measured


@dataclass(frozen=True)
class TrainState:
    """A checkpoint; a resumed training gives the same result as an uninterrupted one."""

    step: int  # steps taken
    weights: Numbers = field(repr=False)  # in the order of `weight_shapes`
    adam_m: Numbers = field(repr=False)  # running mean of each weight's gradient
    adam_v: Numbers = field(repr=False)  # running mean of its square
    dtype: DType
    engine: EngineName
    best: BestWeights | None = None  # None before the first evaluation
    recent_losses: Sequence[float] = field(default=(), repr=False)  # the last N_RECENT, in nats
    history: Sequence[HistoryPoint] = field(default=(), repr=False)
    since_history: tuple[float, int] = (0.0, 0)  # sum and count of losses since its last point
    seconds: float = 0.0  # training time so far
    average: WeightAverage | None = None  # if weights are averaged


@dataclass(frozen=True, repr=False)
class TrainResult(TrainedModel):
    """A trained model and its training; with a validation set, the weights of the best step."""

    plan: TrainingPlan
    losses: Sequence[float]  # per step of this `train` call, in nats per token
    state: TrainState  # at the end
    ending: Ending
    rng_state: tuple[object, ...]  # of the training's generator, for samples afterwards
    test_loss: float | None = None  # in nats per token

    @property
    def config(self) -> TrainConfig:
        """The settings of the training."""
        return self.plan.config

    @property
    def data(self) -> DataFacts:
        """The facts of the training data."""
        return self.plan.data

    @property
    def val_loss(self) -> float | None:
        """The held-out loss of the weights, in nats per token."""
        return self.state.best.val_loss if self.state.best else None

    @property
    def seconds(self) -> float:
        """The training time in seconds."""
        return self.state.seconds

    def _summary(self) -> str:
        losses, val_loss = self.state.recent_losses, self.val_loss
        loss = f"; loss {total(losses) / len(losses):.3f}" if losses else ""
        held_out = "" if val_loss is None else f"; held-out loss {val_loss:.3f}"
        return f"{super()._summary()}; {self.state.step:,} steps{loss}{held_out}"

    def rng(self) -> random.Random:
        """Return a generator that continues from the training's random state."""
        rng = random.Random()
        rng.setstate(self.rng_state)
        return rng
