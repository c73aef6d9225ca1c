"""Checkpoints of a training run, stored in two files.

    train_state.safetensors    weights, Adam moments, losses and subword tokenizer
    train_state.json           everything else, and the SHA-256 of train_state.safetensors

train_state.json is read first: it determines the maximum valid size of train_state.safetensors.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.metadata import version
from operator import not_
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from microgpt.config import MAX_SIZE, DType, EngineName, ModelConfig, TrainConfig
from microgpt.data.contamination import Bounds
from microgpt.data.split import DataFacts
from microgpt.error_format import first_problem, other_version
from microgpt.errors import CheckpointError, MicrogptError
from microgpt.files.atomic_files import read_committed
from microgpt.files.path_text import path_from_text, path_to_text
from microgpt.model_config import count_params
from microgpt.printable import printable
from microgpt.state import (
    Ensemble,
    StepsChange,
    TeacherRecord,
    TrainedTeacher,
    TrainingPlan,
    TrainState,
    is_chain,
)
from microgpt.storage.meta import (
    MAX_META_BYTES,
    MAX_TOKENIZER_BYTES,
    STATE,
    STATE_DESCRIPTION,
    Refused,
    check_tokenizer_fields,
    restore_tokenizer,
    tokenizer_fields,
)
from microgpt.training.early_stopping import BestWeights
from microgpt.training.history_file import MAX_HISTORY_BYTES, HistoryPoint
from microgpt.training.presets import PresetName
from microgpt.training.weight_averaging import WeightAverage

MAX_LOSS = 1e300  # maximum loss; ensures that the mean of the losses is finite
FORMAT_VERSION = 2  # version 1 had splits that no longer exist
TOKENIZER = "tokenizer"  # name of the array with the bytes of tokenizer.json
Status = Literal["running", "ended", "diverged"]

_Count = Annotated[int, Field(ge=0, le=MAX_SIZE)]
_Positive = Annotated[float, Field(gt=0)] | None


class _BestFacts(BaseModel):
    model_config = ConfigDict(
        strict=True, allow_inf_nan=False, from_attributes=True, defer_build=True
    )

    step: _Count
    val_loss: float
    measured_at: _Count
    n_worse: _Count


class _AverageFacts(BaseModel):
    model_config = ConfigDict(strict=True, from_attributes=True, defer_build=True)

    n: Annotated[int, Field(ge=1, le=MAX_SIZE)]
    step: _Count
    steps: _Count


class _Description(BaseModel):
    """The content of train_state.json, in key order."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, defer_build=True)

    format_version: int = FORMAT_VERSION
    state_sha256: str
    status: Status
    step: _Count
    model: ModelConfig
    tokenizer: str = "char"
    chars: tuple[str, ...] | None = None
    special_tokens: tuple[str, ...] | None = None
    fold: bool | None = None
    vocab_size_wanted: _Count | None = None
    config: TrainConfig
    engine: EngineName
    dtype: DType
    input: Annotated[str, Field(pattern=r"^[^\x00]+$")] | None = None
    column: str | None = None
    me: str | None = Field(None, exclude_if=not_)
    separator: str | None = Field(None, exclude_if=not_)
    data: DataFacts
    preset: PresetName | None = None
    parent_sha256: str | None = None
    teachers: tuple[TeacherRecord, ...] = Field((), exclude_if=not_)
    ancestor_data: tuple[DataFacts | None, ...] = Field((), exclude_if=not_)
    contamination: dict[str, Bounds] = Field({}, exclude_if=not_)
    genome_sha256: str | None = None
    minutes: _Positive = Field(None, exclude_if=not_)
    budget: _Positive = Field(None, exclude_if=not_)
    extra: dict[str, Any] = Field({}, exclude_if=not_)
    known_questions: Refused = None  # before there was `extra`
    examples: tuple[str, ...] = Field((), exclude_if=not_)
    edited_sources: dict[str, str] = Field({}, exclude_if=not_)
    steps_changed: tuple[StepsChange, ...] = Field((), exclude_if=not_)
    ensemble: Ensemble | None = Field(None, exclude_if=not_)
    teacher_losses: tuple[float | None, ...] = Field((), exclude_if=not_)
    best: _BestFacts | None = None
    average: _AverageFacts | None = None
    train_loss: float | None = None  # mean of the recent losses, for `microgpt list`
    since_history: tuple[float, _Count]
    seconds: Annotated[float, Field(ge=0)]
    created_by: str
    rounding: str | None = Field(None, exclude_if=not_)


def encode_state(plan: TrainingPlan, state: TrainState, status: Status) -> tuple[bytes, bytes]:
    """Return the contents of train_state.safetensors and train_state.json."""
    from microgpt.training.engines import engine_module  # not for those who only read

    content = save_tensors(_as_tensors(plan, state))
    # Pydantic ignores keys that are not fields of `_Description`.
    facts = vars(state) | vars(plan) | tokenizer_fields(plan.tokenizer)
    facts |= {
        "state_sha256": hashlib.sha256(content).hexdigest(),
        "status": status,
        "train_loss": state.train_loss,
        "teacher_losses": tuple(each.val_loss for each in state.teachers),
        "input": path_to_text(plan.input) if plan.input else None,
        "created_by": f"microgpt {version('microgpt-lib')}",
        "rounding": engine_module(plan.engine).ROUNDING,
    }
    description = _Description(**facts)
    return content, description.model_dump_json(indent=2).encode() + b"\n"


def read_state(directory: Path) -> tuple[TrainingPlan, TrainState, Status]:
    """Read a checkpoint; raise CheckpointError if the files are damaged or do not match."""
    path, description_path = directory / STATE, directory / STATE_DESCRIPTION
    description = read_committed(directory, STATE_DESCRIPTION, MAX_META_BYTES)
    facts = _parse(description, description_path)
    content = read_committed(directory, STATE, _max_bytes(facts))
    if facts.state_sha256 != hashlib.sha256(content).hexdigest():
        raise CheckpointError(
            f"{path} does not match {description_path.name} (its sha256 differs); "
            "restore both files, or train from scratch with --force"
        )
    try:
        tensors = load_tensors(content)
        state = _state(facts, tensors, path)
        file = (path, tensors[TOKENIZER].tobytes()) if facts.tokenizer == "bpe" else None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a valid checkpoint: {printable(str(error))}"
        ) from error
    tokenizer = restore_tokenizer(description_path, facts, file, facts.model.vocab_size)
    plan = {field.name: getattr(facts, field.name) for field in fields(TrainingPlan)}
    plan |= {"tokenizer": tokenizer, "input": path_from_text(facts.input) if facts.input else None}
    state = replace(state, trained_on=(facts.data, *plan["ancestor_data"]))
    return TrainingPlan(**plan), state, facts.status


def _parse(description: bytes, description_path: Path) -> _Description:
    if problem := other_version(description, "format_version", FORMAT_VERSION):
        raise CheckpointError(f"{description_path}: {problem}")
    try:
        facts = _Description.model_validate_json(description)
    except (ValidationError, MicrogptError) as error:
        what = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise CheckpointError(f"{description_path}: {what}") from error
    if facts.step > facts.config.steps:
        raise CheckpointError(
            f"{description_path}: step is {facts.step}, but config.steps is {facts.config.steps}"
        )
    if not (facts.input or facts.preset):
        raise CheckpointError(f"{description_path}: input or preset is required")
    _check_ensemble(facts, description_path)
    if not is_chain(facts.steps_changed, facts.config.steps):
        raise CheckpointError(f"{description_path}: steps_changed does not match config.steps")
    check_tokenizer_fields(description_path, facts)
    return facts


def _check_ensemble(facts: _Description, description_path: Path) -> None:
    """Raise CheckpointError if the record of an ensemble is inconsistent."""
    ensemble, n_trained = facts.ensemble, len(facts.teacher_losses)
    if not ensemble:
        if n_trained:
            raise CheckpointError(f"{description_path}: teacher_losses requires ensemble")
        return
    if not ensemble.fits(facts.config, n_trained, is_complete=facts.status == "ended"):
        raise CheckpointError(f"{description_path}: ensemble does not match the other fields")


def _max_bytes(facts: _Description) -> int:
    """Return the maximum valid size of train_state.safetensors in bytes."""
    n_arrays = 3 + bool(facts.best) + bool(facts.average) + len(facts.teacher_losses)
    rest = MAX_HISTORY_BYTES + (MAX_TOKENIZER_BYTES if facts.tokenizer == "bpe" else 0)
    return n_arrays * np.dtype(facts.dtype).itemsize * count_params(facts.model) + rest


def _as_tensors(plan: TrainingPlan, state: TrainState) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a checkpoint, including the bytes of tokenizer.json, if any."""
    points = state.history
    tensors = {
        "weights": np.asarray(state.weights, state.dtype),
        "adam_m": np.asarray(state.adam_m, state.dtype),
        "adam_v": np.asarray(state.adam_v, state.dtype),
        "recent_losses": np.asarray(state.recent_losses, np.float64),
        "history.step": np.array([point.step for point in points], np.int64),
        "history.loss": np.array([point.loss for point in points], np.float64),
        "history.val_loss": np.array(
            [np.nan if point.val_loss is None else point.val_loss for point in points]
        ),
    }
    if state.average:
        tensors["average"] = np.asarray(state.average.weights, state.dtype)
    if state.best:
        tensors["best_weights"] = np.asarray(state.best.weights, state.dtype)
    for i, teacher in enumerate(state.teachers):
        tensors[f"teacher.{i}"] = np.asarray(teacher.weights, state.dtype)
    if plan.tokenizer.file:
        tensors[TOKENIZER] = np.frombuffer(plan.tokenizer.file, np.uint8)
    return tensors


def _state(
    description: _Description, tensors: Mapping[str, NDArray[Any]], path: Path
) -> TrainState:
    """Decode a checkpoint; raise CheckpointError or ValueError if the arrays are invalid."""
    n_params = count_params(description.model)
    best, average = description.best, description.average
    optional = ["average"] * bool(average) + ["best_weights"] * bool(best)
    taught = [f"teacher.{i}" for i in range(len(description.teacher_losses))]
    for name in ("weights", "adam_m", "adam_v", *optional, *taught):
        if tensors[name].shape != (n_params,) or tensors[name].dtype != description.dtype:
            raise CheckpointError(
                f"{path}: {name} is not an array of {n_params} {description.dtype} numbers; "
                "train from scratch"
            )
    names = ("step", "dtype", "engine", "since_history", "seconds", "rounding")
    return TrainState(
        **{name: getattr(description, name) for name in names},
        weights=tensors["weights"],
        adam_m=tensors["adam_m"],
        adam_v=tensors["adam_v"],
        best=BestWeights(**best.model_dump(), weights=tensors["best_weights"]) if best else None,
        recent_losses=_losses(tensors["recent_losses"]),
        history=_history(tensors),
        average=WeightAverage(tensors["average"], **average.model_dump()) if average else None,
        teachers=tuple(
            TrainedTeacher(tensors[name], loss)
            for name, loss in zip(taught, description.teacher_losses, strict=True)
        ),
    )


def _history(tensors: Mapping[str, NDArray[Any]]) -> tuple[HistoryPoint, ...]:
    """Decode the history points; raise ValueError if they are invalid."""
    measured = tensors["history.val_loss"]
    _losses(np.where(np.isnan(measured), 0, measured))
    if tensors["history.step"].dtype != np.int64:
        raise ValueError("the steps of the history must be integers")
    return tuple(
        HistoryPoint(step, loss, None if math.isnan(val_loss) else val_loss)
        for step, loss, val_loss in zip(
            tensors["history.step"].tolist(),
            _losses(tensors["history.loss"]),
            measured.tolist(),
            strict=True,
        )
    )


def _losses(tensor: NDArray[Any]) -> tuple[float, ...]:
    """Convert losses to a tuple; raise ValueError if the array is invalid."""
    if tensor.ndim != 1 or tensor.dtype != np.float64 or not (np.abs(tensor) < MAX_LOSS).all():
        raise ValueError(f"losses must be a float64 vector with values below {MAX_LOSS:g}")
    return tuple(tensor.tolist())
