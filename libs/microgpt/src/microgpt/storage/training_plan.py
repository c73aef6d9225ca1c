"""What a training is that can be gone on with."""

from dataclasses import dataclass
from pathlib import Path

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig
from microgpt.data.dataset import DataFacts
from microgpt.data.tokenizer import Tokenizer
from microgpt.storage.weights_file import WeightsFormat
from microgpt.training.presets import PresetName

STATE_DESCRIPTION = "train_state.json"  # the file that says what a training is


@dataclass(frozen=True)
class TrainingPlan:
    """What a training is: all but where it stands.

    Attributes:
        model: the shape.
        config: the course.
        tokenizer: of the documents.
        engine: which computes it.
        dtype: of its numbers.
        data: what it learns from.
        input: the file that the documents are in; None if they are the preset's own.
        vocab_size_wanted: how many subword tokens were to be learnt; there may be fewer.
        weights_format: of the model that is to be written, if it was asked for.
        preset: that its settings came from.
        parent_sha256: the `weights_sha256` of the model that it began with.
        genome_sha256: of the genome.json that its settings came from.
    """

    model: ModelConfig
    config: TrainConfig
    tokenizer: Tokenizer
    engine: EngineName
    dtype: DType
    data: DataFacts
    input: Path | None
    vocab_size_wanted: int | None = None
    weights_format: WeightsFormat | None = None
    preset: PresetName | None = None
    parent_sha256: str | None = None
    genome_sha256: str | None = None
