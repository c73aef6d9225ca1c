"""A model directory during training: its lock, its checkpoint in two files, and the final model.

    train_state.safetensors    weights, Adam moments and subword tokenizer
    train_state.json           everything else, and the SHA-256 of train_state.safetensors

train_state.json is read first: it determines the maximum valid size of train_state.safetensors.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.metadata import version
from operator import not_
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from microgpt.config import MAX_SIZE, DType, EngineName, ModelConfig, TrainConfig
from microgpt.data.contamination import as_share
from microgpt.data.split import DataFacts
from microgpt.data.tokenizers import TOKENIZERS
from microgpt.error_format import first_problem, other_version
from microgpt.errors import CheckpointError, MicrogptError
from microgpt.files.atomic_files import (
    check_is_directory,
    committed_path,
    publish,
    read_committed,
    read_consistently,
)
from microgpt.files.directory_lock import DirectoryLock
from microgpt.files.path_text import path_from_text, path_to_text
from microgpt.flat_weights import count_params
from microgpt.printable_text import printable
from microgpt.settings import check_conflicts, check_names, check_setting, with_given
from microgpt.state import (
    Ensemble,
    TeacherRecord,
    TrainedTeacher,
    TrainingPlan,
    TrainResult,
    TrainState,
)
from microgpt.storage.meta import (
    MAX_META_BYTES,
    MAX_TOKENIZER_BYTES,
    META,
    STATE,
    STATE_DESCRIPTION,
    check_tokenizer_fields,
    restore_tokenizer,
    tokenizer_fields,
)
from microgpt.storage.model_directory import (
    TOKENIZER,
    TRAINING,
    check_format,
    encode_model,
    has_model,
    publish_model,
)
from microgpt.storage.weights_file import HEADER_BYTES, WEIGHTS_FILES
from microgpt.training.history_file import (
    HISTORY,
    HistoryPoint,
    encode_history,
)
from microgpt.training.kept_weights import BestWeights, WeightAverage

FORMAT_VERSION = 5  # earlier versions had other splits, names of settings, or places of losses
TOKENIZER_BYTES = "tokenizer"  # name of the array with the content of tokenizer.json
Status = Literal["running", "ended", "diverged"]

_Count = Annotated[int, Field(ge=0, le=MAX_SIZE)]


def _check_given(given: dict[str, Any]) -> dict[str, Any]:
    check_names(given)
    for name, value in given.items():
        check_setting(name, value)
    return given


class TrainingDirectory(DirectoryLock):
    """The output directory of a training run, created with the first checkpoint."""

    def __init__(self, path: str | Path) -> None:
        """Lock a directory, which need not exist; raise CheckpointError if it cannot be locked."""
        directory = Path(path)
        self.has_own_state = False  # whether this process has written a checkpoint
        own = (STATE, STATE_DESCRIPTION, HISTORY, TOKENIZER, META, *WEIGHTS_FILES.values())
        for name in own:
            if os.path.isdir(directory / name):  # Path.is_dir may raise OSError
                raise CheckpointError(f"{directory / name} is a directory; use another directory")
        super().__init__(directory, "being trained")

    def keep(self, plan: TrainingPlan, state: TrainState, status: Status = "running") -> bool:
        """Write a checkpoint. If the write fails, the previous checkpoint is kept.

        Return False if nothing was written, because a state without any steps does not replace a
        finished model.
        """
        is_new = not (state.step or state.teachers or self.has_own_state)
        if is_new and has_model(self.path):
            return False
        content, description = encode_state(plan, state, status)
        files = {
            STATE: content,
            HISTORY: encode_history(state.history),
            STATE_DESCRIPTION: description,
        }
        publish(self.path, files, is_held=True)
        self.has_own_state = True
        return True

    def finish(self, result: TrainResult) -> None:
        """Write the last checkpoint, and then the model with the status "ended".

        This order keeps the checkpoint if there is not enough disk space for the model. An earlier
        state needs the teachers of an ensemble, so the status "ended" removes them.
        """
        self.keep(result.plan, result.state)
        content, description = encode_state(
            result.plan, replace(result.state, teachers=()), "ended"
        )
        files = {STATE: content} if result.state.teachers else {}
        files |= {**encode_model(result), STATE_DESCRIPTION: description}
        publish_model(self.path, files, kept=TRAINING)


def check_has_training(directory: Path) -> None:
    """Raise CheckpointError if a directory has no checkpoint to resume."""
    remedy = "use another directory, or train from scratch"
    check_is_directory(directory, remedy)
    if not has_state(directory):
        raise CheckpointError(f"{directory} has no checkpoint to resume; {remedy}")


def has_state(directory: Path) -> bool:
    """Return whether a directory contains a checkpoint."""
    return any(committed_path(directory, name).exists() for name in (STATE_DESCRIPTION, STATE))


class _BestFacts(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, from_attributes=True)

    step: _Count
    val_loss: float
    measured_at: _Count
    n_worse: _Count


class _AverageFacts(BaseModel):
    model_config = ConfigDict(strict=True, from_attributes=True)

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
    config: TrainConfig
    engine: EngineName
    dtype: DType
    input: Annotated[str, Field(pattern=r"^[^\x00]+$")] | None = None
    given: Annotated[dict[str, Any], AfterValidator(_check_given)] = Field({}, exclude_if=not_)
    data: DataFacts
    parent_sha256: str | None = None
    teachers: tuple[TeacherRecord, ...] = Field((), exclude_if=not_)
    ancestor_data: tuple[DataFacts | None, ...] = Field((), exclude_if=not_)
    contamination: dict[str, Annotated[Any, AfterValidator(as_share)]] = Field({}, exclude_if=not_)
    extra: dict[str, Any] = Field({}, exclude_if=not_)
    examples: tuple[str, ...] = Field((), exclude_if=not_)
    edited_sources: dict[str, str] = Field({}, exclude_if=not_)
    legs: tuple[tuple[int, int], ...] = Field((), exclude_if=not_)
    ensemble: Ensemble | None = Field(None, exclude_if=not_)
    teacher_losses: tuple[float | None, ...] = Field((), exclude_if=not_)
    best: _BestFacts | None = None
    average: _AverageFacts | None = None
    train_loss: float | None = None  # mean of the recent losses, for `microgpt list`
    since_history: tuple[float, _Count]
    seconds: Annotated[float, Field(ge=0)]
    created_by: str
    rounding: str | None = Field(None, exclude_if=not_)
    recent_losses: tuple[float, ...]
    history: tuple[HistoryPoint, ...]

    @field_validator("model", "config", mode="before")
    @classmethod
    def read_settings(cls, facts: Any, info: ValidationInfo) -> Any:
        """Return the settings of a JSON object; raise ConfigError if one is invalid."""
        if not isinstance(facts, dict):
            return facts
        config: Any = ModelConfig() if info.field_name == "model" else TrainConfig()
        check_names(facts, vars(config))
        return with_given(config, facts)

    def check(self) -> None:
        """Raise CheckpointError if the facts contradict each other, ConfigError if settings do."""
        data = {"text": self.config.text, "tokenizer": self.tokenizer, "chat": self.special_tokens}
        check_conflicts({**self.given, **data, "budget": None})  # `--minutes` records its budget
        step, steps, ensemble = self.step, self.config.steps, self.ensemble
        n_trained, is_complete = len(self.teacher_losses), self.status == "ended"
        problems = {
            f"step is {step}, but config.steps is {steps}": step > steps,
            "input is required": not self.input,
            "teacher_losses requires ensemble": n_trained and not ensemble,
            "ensemble does not match the other fields": ensemble
            and not ensemble.fits(self.config, n_trained, is_complete=is_complete),
        }
        for problem, is_there in problems.items():
            if is_there:
                raise CheckpointError(problem)

    def max_bytes(self) -> int:
        """Return the maximum valid size of train_state.safetensors in bytes."""
        n_arrays = 3 + bool(self.best) + bool(self.average) + len(self.teacher_losses)
        n_bytes = n_arrays * np.dtype(self.dtype).itemsize * count_params(self.model)
        has_file = TOKENIZERS[self.tokenizer].has_file
        return n_bytes + HEADER_BYTES + MAX_TOKENIZER_BYTES * has_file


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


def read_training(directory: Path) -> tuple[TrainingPlan, TrainState, Status]:
    """Read the checkpoint in a directory; raise CheckpointError if it is missing or damaged."""
    check_has_training(directory)
    check_format(directory)
    return read_consistently(directory, lambda: _read_state(directory))


def _read_state(directory: Path) -> tuple[TrainingPlan, TrainState, Status]:
    path, description_path = directory / STATE, directory / STATE_DESCRIPTION
    facts = _read_description(directory, description_path)
    content = read_committed(directory, STATE, facts.max_bytes())
    if facts.state_sha256 != hashlib.sha256(content).hexdigest():
        raise CheckpointError(
            f"{path} does not match {description_path.name} (its sha256 differs); "
            "restore both files, or train from scratch with --force"
        )
    try:
        tensors = load_tensors(content)
        state = _state(facts, tensors)
        has_file = TOKENIZERS[facts.tokenizer].has_file
        file = (path, tensors[TOKENIZER_BYTES].tobytes()) if has_file else None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a valid checkpoint: {printable(str(error))}"
        ) from error
    tokenizer = restore_tokenizer(description_path, facts, file, facts.model.vocab_size)
    plan = {field.name: getattr(facts, field.name) for field in fields(TrainingPlan)}
    plan |= {"tokenizer": tokenizer, "input": path_from_text(facts.input) if facts.input else None}
    return TrainingPlan(**plan), state, facts.status


def _read_description(directory: Path, path: Path) -> _Description:
    description = read_committed(directory, STATE_DESCRIPTION, MAX_META_BYTES)
    if problem := other_version(description, "format_version", FORMAT_VERSION):
        raise CheckpointError(f"{path}: {problem}")
    try:
        facts = _Description.model_validate_json(description)
        facts.check()
    except (ValidationError, MicrogptError) as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error
    check_tokenizer_fields(path, facts)
    return facts


def _as_tensors(plan: TrainingPlan, state: TrainState) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a checkpoint, including the bytes of tokenizer.json, if any."""
    numbers = {"weights": state.weights, "adam_m": state.adam_m, "adam_v": state.adam_v}
    if state.average:
        numbers["average"] = state.average.weights
    if state.best:
        numbers["best_weights"] = state.best.weights
    numbers |= {f"teacher.{i}": teacher.weights for i, teacher in enumerate(state.teachers)}
    tensors: dict[str, NDArray[np.generic]] = {
        name: np.asarray(each, state.dtype) for name, each in numbers.items()
    }
    if plan.tokenizer.file:
        tensors[TOKENIZER_BYTES] = np.frombuffer(plan.tokenizer.file, np.uint8)
    return tensors


def _state(facts: _Description, tensors: Mapping[str, NDArray[Any]]) -> TrainState:
    """Decode a checkpoint; raise ValueError if the arrays are invalid."""
    n_params = count_params(facts.model)

    def numbers(name: str) -> NDArray[Any]:
        if tensors[name].shape != (n_params,) or tensors[name].dtype != facts.dtype:
            raise ValueError(f"{name} is not an array of {n_params} {facts.dtype} numbers")
        return tensors[name]

    names = ("step", "dtype", "engine", "recent_losses", "history", "since_history", "seconds")
    best, average = facts.best, facts.average
    return TrainState(
        **{name: getattr(facts, name) for name in (*names, "rounding")},
        weights=numbers("weights"),
        adam_m=numbers("adam_m"),
        adam_v=numbers("adam_v"),
        best=BestWeights(**best.model_dump(), weights=numbers("best_weights")) if best else None,
        average=WeightAverage(numbers("average"), **average.model_dump()) if average else None,
        teachers=tuple(
            TrainedTeacher(numbers(f"teacher.{i}"), loss)
            for i, loss in enumerate(facts.teacher_losses)
        ),
        trained_on=(facts.data, *facts.ancestor_data),
    )
