"""The checkpoint of a training run: two files in its model directory, which the run locks.

docs/reference/model_directory.md describes the files. train_state.json is read first: it determines
the maximum valid size of train_state.safetensors.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from importlib.metadata import version
from operator import not_
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from microgpt.config import MAX_SIZE, DType, ModelConfig, TrainConfig
from microgpt.data import TOKENIZERS
from microgpt.data.split import DataFacts
from microgpt.data.tokenizer import TokenizerKind
from microgpt.early_stopping import BestWeights
from microgpt.errors import CheckpointError
from microgpt.files import (
    DirectoryLock,
    check_is_directory,
    publish,
    read_committed,
    read_consistently,
)
from microgpt.formatting import printable
from microgpt.parameters import count_params
from microgpt.settings import check_conflicts, check_names, check_setting, with_given
from microgpt.storage.model_directory import (
    TRAINING_FILES,
    encode_model,
    has_any,
    has_model,
    publish_model,
)
from microgpt.storage.model_metadata import (
    MAX_TOKENIZER_BYTES,
    STATE,
    STATE_DESCRIPTION,
    SpecialTokens,
    read_record,
    restore_tokenizer,
    tokenizer_fields,
)
from microgpt.storage.weights_file import max_bytes
from microgpt.training_state import (
    Ensemble,
    HistoryPoint,
    TeacherRecord,
    TrainingPlan,
    TrainResult,
    TrainState,
)

FORMAT_VERSION = 7  # earlier versions split the data differently or have other settings
TOKENIZER_BYTES = "tokenizer"  # name of the array with the content of tokenizer.json
N_ARRAYS = 4  # maximum number of arrays in a checkpoint that have one number per weight
Status = Literal["running", "ended"]

_Count = Annotated[int, Field(ge=0, le=MAX_SIZE)]
_Numbers = dict[str, _Count | Annotated[float, Field(ge=0)]]


def _check_given(given: dict[str, Any]) -> dict[str, Any]:
    check_names(given)
    for name, value in given.items():
        check_setting(name, value)
    return given


def _settings(kind: type[ModelConfig | TrainConfig], found: Any) -> Any:
    """Convert a JSON object to settings; raise ConfigError if a setting is invalid."""
    if not isinstance(found, dict):
        return found
    check_names(found, vars(kind()))
    return with_given(kind(), found)


class TrainingDirectory(DirectoryLock):
    """The output directory of a training run, created with the first checkpoint."""

    def __init__(self, path: str | Path) -> None:
        """Lock a directory, which need not exist; raise CheckpointError if it cannot be locked."""
        self.has_own_state = False  # whether this process has written a checkpoint
        super().__init__(Path(path), "being trained")

    def keep(self, plan: TrainingPlan, state: TrainState, status: Status = "running") -> bool:
        """Write a checkpoint; if that fails, the previous one is kept.

        Return False, without writing, if a state at step 0 would replace a finished model.
        """
        if not (state.step or self.has_own_state) and has_model(self.path):
            return False
        publish(self.path, encode_state(plan, state, status), is_held=True)
        self.has_own_state = True
        return True

    def finish(self, result: TrainResult) -> None:
        """Write the last checkpoint, and then the model with the status "ended".

        This order keeps the checkpoint if there is not enough disk space for the model.
        """
        self.keep(result.plan, result.state)
        ended = encode_state(result.plan, result.state, "ended")
        files = {**encode_model(result), STATE_DESCRIPTION: ended[STATE_DESCRIPTION]}
        publish_model(self.path, files, TRAINING_FILES)


def check_has_training(directory: Path) -> None:
    """Raise CheckpointError if a directory has no checkpoint."""
    remedy = "use another directory, such as one that `microgpt list` shows"
    check_is_directory(directory, remedy)
    if not has_state(directory):
        raise CheckpointError(f"{directory} has no checkpoint, as after evolve; {remedy}")


def has_state(directory: Path) -> bool:
    """Return whether a directory contains a checkpoint."""
    return has_any(directory, STATE_DESCRIPTION, STATE)


class _Description(BaseModel):
    """The content of train_state.json; the fields are in the order in which they are written."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, defer_build=True)

    format_version: int = FORMAT_VERSION
    state_sha256: str
    status: Status
    step: _Count
    model: Annotated[ModelConfig, BeforeValidator(partial(_settings, ModelConfig))]
    tokenizer: TokenizerKind = "char"
    chars: tuple[str, ...] | None = None
    special_tokens: SpecialTokens | None = None
    fold: bool | None = None
    config: Annotated[TrainConfig, BeforeValidator(partial(_settings, TrainConfig))]
    dtype: DType
    input: Annotated[str, Field(pattern=r"^[^\x00]+$")] | None = None
    given: Annotated[dict[str, Any], AfterValidator(_check_given)] = Field({}, exclude_if=not_)
    data: DataFacts
    parent_sha256: str | None = None
    ensemble: Ensemble | None = Field(None, exclude_if=not_)
    teachers: tuple[TeacherRecord, ...] = Field((), exclude_if=not_)
    ancestor_data: tuple[DataFacts | None, ...] = Field((), exclude_if=not_)
    contamination: dict[str, float | None] = Field({}, exclude_if=not_)
    baselines: dict[str, float] = Field({}, exclude_if=not_)
    extra: dict[str, Any] = Field({}, exclude_if=not_)
    examples: tuple[str, ...] = Field((), exclude_if=not_)
    edited_sources: dict[str, str] = Field({}, exclude_if=not_)
    best: _Numbers | None = None  # the fields of `BestWeights`, without the weights
    since_history: tuple[float, _Count]
    seconds: Annotated[float, Field(ge=0)]
    created_by: str
    recent_losses: tuple[float, ...]
    history: tuple[HistoryPoint, ...]

    def model_post_init(self, _: Any) -> None:
        """Raise CheckpointError if fields contradict each other, ConfigError if settings do."""
        data = {"text": self.config.text, "tokenizer": self.tokenizer, "chat": self.special_tokens}
        check_conflicts({**self.given, **data, "budget": None})  # --minutes records a budget too
        if self.step > self.config.steps:
            raise CheckpointError(f"step is {self.step}, but config.steps is {self.config.steps}")


def encode_state(plan: TrainingPlan, state: TrainState, status: Status) -> dict[str, bytes]:
    """Return the contents of train_state.safetensors and train_state.json, by file name."""
    arrays = {"weights": state.weights, "adam_m": state.adam_m, "adam_v": state.adam_v}
    # `facts` has keys that are not fields of `_Description`; Pydantic ignores them.
    facts = vars(state) | vars(plan) | tokenizer_fields(plan.tokenizer)
    if state.best:
        facts["best"] = {**vars(state.best)}
        arrays["best_weights"] = facts["best"].pop("weights")
    tensors: dict[str, NDArray[Any]] = {
        name: np.asarray(each, state.dtype) for name, each in arrays.items()
    }
    if plan.tokenizer.file:
        tensors[TOKENIZER_BYTES] = np.frombuffer(plan.tokenizer.file, np.uint8)
    content = save_tensors(tensors)
    facts |= {
        "state_sha256": hashlib.sha256(content).hexdigest(),
        "status": status,
        "input": plan.input and str(plan.input),
        "created_by": f"microgpt {version('microgpt-lib')}",
    }
    description = _Description(**facts).model_dump_json(indent=2)
    return {STATE: content, STATE_DESCRIPTION: description.encode() + b"\n"}


def read_training(directory: Path) -> tuple[TrainingPlan, TrainState, Status]:
    """Read the checkpoint in a directory; raise CheckpointError if it is missing or damaged."""
    return read_consistently(directory, lambda: _read_state(directory))


def _read_state(directory: Path) -> tuple[TrainingPlan, TrainState, Status]:
    path, description_path = directory / STATE, directory / STATE_DESCRIPTION
    facts = read_record(_Description, directory, STATE_DESCRIPTION)
    most = N_ARRAYS * max_bytes(path, facts.model) + MAX_TOKENIZER_BYTES
    content = read_committed(directory, STATE, most)
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
    plan |= {"tokenizer": tokenizer, "input": facts.input and Path(facts.input)}
    return TrainingPlan(**plan), state, facts.status


def _state(facts: _Description, tensors: Mapping[str, NDArray[Any]]) -> TrainState:
    """Decode a checkpoint; raise ValueError if the arrays are invalid."""
    n_params = count_params(facts.model)
    best: Any = facts.best

    def numbers(name: str) -> NDArray[Any]:
        if tensors[name].shape != (n_params,) or tensors[name].dtype != facts.dtype:
            raise ValueError(f"{name} is not an array of {n_params} {facts.dtype} numbers")
        return tensors[name]

    state = {each.name: getattr(facts, each.name, None) for each in fields(TrainState)} | {
        **{name: numbers(name) for name in ("weights", "adam_m", "adam_v")},
        "best": best and BestWeights(**best, weights=numbers("best_weights")),
        "trained_on": (facts.data, *facts.ancestor_data),
    }
    return TrainState(**state)
