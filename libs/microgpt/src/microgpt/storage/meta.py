"""meta.json: model shape, tokenizer and metadata of the training run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from microgpt.config import MAX_SIZE, Activation, DType, ModelConfig, Positions, TrainConfig
from microgpt.data.split import DataFacts
from microgpt.data.tokenizer_io import check_fields, tokenizer_fields
from microgpt.error_format import first_problem, newer_version
from microgpt.errors import CheckpointError
from microgpt.model_variants import ARCHITECTURE, is_karpathys
from microgpt.state import TrainingPlan, TrainResult

FORMAT_VERSION = 2  # version 1 supports only Karpathy's architecture
META = "meta.json"
# Files of a checkpoint; see `training_state`, which loads slower.
STATE, STATE_DESCRIPTION = "train_state.safetensors", "train_state.json"
MAX_META_BYTES = 2**24  # all Unicode characters as \u escapes take 14 MB

_Count = Annotated[int, Field(ge=1, le=MAX_SIZE)]


def _check_json(facts: dict[str, Any]) -> dict[str, Any]:
    json.dumps(facts, allow_nan=False)  # pydantic accepts NaN for Any, but NaN is not valid JSON
    return facts


class Meta(BaseModel):
    """Content of meta.json in key order. evolve-rust and MoonBase use only the first keys."""

    model_config = ConfigDict(strict=True)

    vocab_size: _Count
    n_embd: _Count
    n_head: _Count
    n_layer: _Count
    block_size: _Count
    chars: tuple[str, ...] | None = None  # vocabulary of a character tokenizer
    special_tokens: tuple[str, ...] | None = None
    format_version: _Count = 1
    weights_sha256: str | None = None
    n_ff_exp: _Count = ModelConfig.n_ff_exp
    init_std: float = ModelConfig.init_std
    positions: Positions | None = None  # architecture; see `model_variants`
    token_shift: bool | None = None
    activation: Activation | None = None
    qk_norm: bool | None = None
    final_norm: bool | None = None
    out_scale: float | None = None
    dtype: DType = "float64"
    tokenizer: str = "char"
    fold: bool | None = None
    tokenizer_sha256: str | None = None
    documents_sha256: str | None = None  # of documents.crc32
    created_by: str | None = None
    created_at: str | None = None
    training: Annotated[dict[str, Any], AfterValidator(_check_json)] = {}

    def model(self) -> ModelConfig:
        """Return the shape of the model."""
        names = [field.name for field in fields(ModelConfig)]
        facts = {name: getattr(self, name) for name in names}
        return ModelConfig(**{name: fact for name, fact in facts.items() if fact is not None})


def shape_fields(model: ModelConfig) -> dict[str, Any]:
    """Return the model settings for meta.json; keys with the value None are omitted there."""
    shape = asdict(model) | {"token_shift": model.token_shift or None}
    return shape | (dict.fromkeys(ARCHITECTURE) if is_karpathys(model) else {})


def meta_of(result: TrainResult) -> Meta:
    """Return the content of meta.json for a trained model."""
    best = result.state.best
    training = _settings(result.plan) | {
        "steps": result.state.step,
        "train_loss": result.state.train_loss,
        "val_loss": result.val_loss,
        "test_loss": result.test_loss,
        "best_step": best.step if best else None,
        "seconds": round(result.seconds, 3),
    }
    return Meta(
        **shape_fields(result.model),
        format_version=1 if is_karpathys(result.model) else FORMAT_VERSION,
        **tokenizer_fields(result.tokenizer),
        dtype=result.dtype,
        created_by=f"microgpt {version('microgpt-lib')}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        training={name: fact for name, fact in training.items() if fact is not None},
    )


def is_result_of(plan: TrainingPlan, meta: Meta) -> bool:
    """Return whether a model has the shape, vocabulary and settings of a training plan."""
    model = shape_fields(plan.model) | tokenizer_fields(plan.tokenizer) | {"dtype": plan.dtype}
    return all(getattr(meta, name) == value for name, value in model.items()) and all(
        meta.training.get(name) == value for name, value in _settings(plan).items()
    )


def _settings(plan: TrainingPlan) -> dict[str, Any]:
    """Return the settings of a training run as recorded in meta.json, in key order."""
    config, data, is_chat = plan.config, plan.data, plan.tokenizer.is_chat
    evaluations = config.evaluations
    return {
        "seed": config.seed,
        "steps": config.steps,
        "batch_size": config.batch_size,
        "lr": config.lr,
        "warmup_steps": config.warmup_steps or None,
        "evaluations": evaluations if evaluations != TrainConfig.evaluations else None,
        "optimizer": config.optimizer if config.optimizer != "adamw" else None,
        "dropout": config.dropout or None,
        "weight_decay": config.weight_decay or None,
        "average_tail": config.average_tail or None,
        "loss_on": config.loss_on if is_chat else None,
        "text": config.text if config.text == "stream" else None,
        "long_docs": config.long_docs if config.text == "lines" else None,
        "data_sha256": data.sha256,
        "n_docs": data.n_docs,
        "val_fraction": data.val_fraction or None,
        "test_fraction": data.test_fraction or None,
        "holdout": data.holdout,
        "gap": data.gap or None,
        "preset": plan.preset,
        "parent_sha256": plan.parent_sha256,
        "teachers": [Path(each.directory).name for each in plan.teachers] or None,
        "teacher_sha256": [each.weights_sha256 for each in plan.teachers] or None,
        "teacher_samples": plan.teacher_samples or None,
        "ancestor_data": [each and asdict(each) for each in plan.ancestor_data] or None,
        "contamination": {name: [*each] for name, each in plan.contamination.items()} or None,
        "genome": plan.genome_sha256,
        "minutes": plan.minutes,
        "budget": plan.budget,
        "steps_changed": [list(change) for change in plan.steps_changed] or None,
    }


def trained_on(training: Mapping[str, Any]) -> tuple[DataFacts | None, ...]:
    """Return the data of a training, and those of its parent and teachers; None if unknown."""
    is_stream = training.get("text") == "stream"
    is_old = is_stream and training.keys() & {"val_fraction", "test_fraction"}
    own = {"holdout": "tail" if is_old else None, **training, "sha256": training.get("data_sha256")}
    is_derived = training.keys() & {"parent_sha256", "teachers"}
    ancestors = training.get("ancestor_data", [None] if is_derived else [])
    return (_data_facts(own), *map(_data_facts, ancestors if isinstance(ancestors, list) else "?"))


def _data_facts(record: object) -> DataFacts | None:
    try:
        facts = TypeAdapter(DataFacts).validate_python(record)
        is_valid = facts.val_fraction >= 0 <= facts.test_fraction
        return facts if is_valid and facts.val_fraction + facts.test_fraction < 1 else None
    except ValidationError:  # written by another program, or damaged
        return None


def parse_meta(content: bytes, path: Path) -> Meta:
    """Parse meta.json; if it is invalid, raise CheckpointError with the location of the error."""
    if problem := newer_version(content, "format_version", FORMAT_VERSION):
        raise CheckpointError(f"{path}: {problem}")
    try:
        meta = Meta.model_validate_json(content)
    except ValidationError as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error
    check_fields(path, meta)
    return meta
