"""Training plan, events, checkpoints and results."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig, WeightsFormat
from microgpt.data.split import DataFacts
from microgpt.data.tokenizer import Tokenizer
from microgpt.flat_weights import Numbers
from microgpt.model import Weights
from microgpt.training.early_stopping import BestWeights, Ending
from microgpt.training.history_file import HistoryPoint
from microgpt.training.presets import PresetName
from microgpt.training.weight_averaging import WeightAverage

N_RECENT = 100  # losses in a checkpoint, whose mean is the train_loss of meta.json


@dataclass(frozen=True)
class TrainedModel:
    """All that inference needs of a model."""

    model: ModelConfig
    weights: Weights[float]
    tokenizer: Tokenizer
    dtype: DType  # of training and inference


@dataclass(frozen=True)
class TrainingPlan:
    """The settings and data of a training; what its model directory records of it."""

    model: ModelConfig
    config: TrainConfig
    tokenizer: Tokenizer
    engine: EngineName
    dtype: DType
    data: DataFacts
    input: Path | None = None  # the file of documents; None if the preset brings its own
    vocab_size_wanted: int | None = None  # subword tokens asked for; there may be fewer
    weights_format: WeightsFormat | None = None  # of the model to write, if asked for
    preset: PresetName | None = None
    parent_sha256: str | None = None  # `weights_sha256` of the saved model that it began with
    genome_sha256: str | None = None  # of the genome.json that its settings came from


@dataclass(frozen=True)
class TrainEvent:
    """A run of training steps, or the held-out loss after them."""

    step: int  # steps taken since the beginning of the training
    steps: int  # steps in the whole training
    losses: Sequence[float]  # of each step of this run, in nats per token; none if only val_loss
    n_docs: int  # documents, or chunks of long ones, read in this run
    n_tokens: int  # tokens predicted in this run
    val_loss: float | None = None  # in nats per token, where it was measured


@dataclass(frozen=True)
class TrainState:
    """A checkpoint: resuming from it gives what an uninterrupted training would have given."""

    step: int  # steps taken
    weights: Numbers  # in the order of `weight_shapes`
    adam_m: Numbers  # running mean of each weight's gradient
    adam_v: Numbers  # running mean of its square
    dtype: DType
    engine: EngineName
    best: BestWeights | None = None  # once the held-out loss was measured
    recent_losses: Sequence[float] = ()  # of the last N_RECENT steps, in nats per token
    history: Sequence[HistoryPoint] = ()
    since_history: tuple[float, int] = (0.0, 0)  # sum and number of the losses since its last point
    seconds: float = 0.0  # training time so far
    average: WeightAverage | None = None  # where the last weights are averaged


@dataclass(frozen=True)
class TrainResult(TrainedModel):
    """A trained model and its training; with held-out documents, the weights of the best step."""

    plan: TrainingPlan
    losses: Sequence[float]  # of each step that this call of `train` took, in nats per token
    state: TrainState  # at the end
    ending: Ending
    rng_state: tuple[object, ...]  # of the training's generator, for samples that continue it
    test_loss: float | None = None  # in nats per token

    @property
    def config(self) -> TrainConfig:
        """The settings of the training."""
        return self.plan.config

    @property
    def data(self) -> DataFacts:
        """What the model was trained on."""
        return self.plan.data

    @property
    def val_loss(self) -> float | None:
        """The held-out loss of the weights, in nats per token."""
        return self.state.best.val_loss if self.state.best else None

    @property
    def seconds(self) -> float:
        """How long the training took."""
        return self.state.seconds

    def rng(self) -> random.Random:
        """Return a generator that continues the training's random numbers."""
        rng = random.Random()
        rng.setstate(self.rng_state)
        return rng
