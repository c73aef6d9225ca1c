"""A model directory while it is being trained: where a training stands, on disk.

    train_state.safetensors    the weights, the best ones, and what the optimizer keeps
    train_state.json           all other that is needed to go on, and the sha256 of the first
    history.jsonl              the losses so far, a line a point

A training holds its directory by a lock. The model itself is written when it has ended, so that an
older one can be used until then. This module knows nothing of how a model is trained.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from microgpt.checkpoint import META, STATE_DESCRIPTION, has_model, save, settle_model
from microgpt.config import DType, EngineName, ModelConfig, TrainConfig
from microgpt.data import DataFacts
from microgpt.directory_lock import DirectoryLock
from microgpt.errors import CheckpointError, MicrogptError
from microgpt.history import HISTORY, HistoryPoint, as_lines
from microgpt.model import count_params
from microgpt.state import Best, TrainResult, TrainState
from microgpt.tokenizer import SPECIAL_TOKENS, CharTokenizer
from microgpt.validation import first_problem
from microgpt.weights_file import WEIGHTS_FILES, WeightsFormat
from microgpt.whole_files import described, make_staging, publish, read, remove_leftovers, settle

FORMAT_VERSION = 1
STATE, HASH = "train_state.safetensors", "state_sha256"
Status = Literal["running", "ended", "diverged"]


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
        input: the file that the documents are in.
        parent_sha256: the `weights_sha256` of the model that it began with.
        genome_sha256: of the genome.json that its settings came from.
    """

    model: ModelConfig
    config: TrainConfig
    tokenizer: CharTokenizer
    engine: EngineName
    dtype: DType
    data: DataFacts
    input: Path
    parent_sha256: str | None = None
    genome_sha256: str | None = None


class _BestFacts(BaseModel):
    step: int
    val_loss: float
    measured_at: int
    n_worse: int


_Count = Annotated[int, Field(ge=0)]


class _Description(BaseModel):
    """train_state.json, its keys in order."""

    model_config = ConfigDict(strict=True)

    format_version: int = FORMAT_VERSION
    state_sha256: str
    status: Status
    step: _Count
    model: ModelConfig
    chars: tuple[str, ...]
    special_tokens: tuple[str, ...] | None = None
    config: TrainConfig
    engine: EngineName
    dtype: DType
    input: str
    data: DataFacts
    parent_sha256: str | None = None
    genome_sha256: str | None = None
    best: _BestFacts | None = None
    since_history: tuple[float, int]
    seconds: float
    created_by: str


class TrainingDirectory:
    """A directory that this process trains in.

    Attributes:
        path: where it is, or will be once the first state is kept.
        plan: of the training whose state is there, if one is.
        state: where that stands.
        status: "running", until the model has been written or the loss was no longer finite.
    """

    def __init__(self, path: str | Path) -> None:
        """Take hold of a directory, which need not exist, and read what is there.

        Raises:
            CheckpointError: another process trains there, it cannot be written, or the state that
                is there is damaged.
        """
        self.path = Path(path)
        self.plan: TrainingPlan | None = None
        self.state: TrainState | None = None
        self.status: Status | None = None
        for name in (STATE, STATE_DESCRIPTION, HISTORY, META, *WEIGHTS_FILES.values()):
            if os.path.isdir(self.path / name):  # unlike Path.is_dir, never an OSError
                raise CheckpointError(f"{self.path / name} is a directory; name another place")
        self._staging = None if os.path.isdir(self.path) else _staged(self.path)
        self._lock = DirectoryLock(self._staging or self.path)
        try:
            if not self._staging:
                settle_model(self.path)
                settle(self.path, STATE, STATE_DESCRIPTION, HASH)
            remove_leftovers(self.path)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the directory; if nothing was kept there, it is as it was."""
        self._lock.release(self._staging or self.path)
        if self._staging:
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging = None

    @property
    def has_model(self) -> bool:
        """Whether there is a model that can be used."""
        return has_model(self.path)

    @property
    def has_state(self) -> bool:
        """Whether a training has kept a state there."""
        return (self.path / STATE_DESCRIPTION).exists() or (self.path / STATE).exists()

    def read_state(self) -> None:
        """Set `plan`, `state` and `status` to what is there.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        self.plan, self.state, self.status = read_training(self.path)

    def keep(self, plan: TrainingPlan, state: TrainState, status: Status = "running") -> None:
        """Write where a training stands.

        Raises:
            CheckpointError: it cannot be written; what was there before still is.
        """
        tensors = _as_tensors(state)
        content = save_tensors(tensors)
        description = _describe(plan, state, status, hashlib.sha256(content).hexdigest())
        files = {
            STATE: content,
            HISTORY: as_lines(state.history),
            STATE_DESCRIPTION: description.model_dump_json(indent=2).encode() + b"\n",
        }
        publish(self.path, files, self._staging)
        self._staging = None

    def finish(
        self, plan: TrainingPlan, result: TrainResult, weights_format: WeightsFormat | None = None
    ) -> None:
        """Write the model, and that the training has ended.

        Raises:
            CheckpointError: it cannot be written; what was there before still is.
        """
        if self._staging:
            self.keep(plan, result.state)
        save(result, self.path, weights_format=weights_format)
        self.keep(plan, result.state, "ended")


def read_training(directory: Path) -> tuple[TrainingPlan, TrainState, Status]:
    """Return what a training is, where it stands, and whether it has ended.

    Raises:
        CheckpointError: there is no state, or it is damaged.
    """
    if not (directory / STATE).exists() and not (directory / STATE_DESCRIPTION).exists():
        what = "holds no training" if directory.is_dir() else "does not exist"
        raise CheckpointError(f"{directory} {what} to go on with; name one, or train anew")
    content, path = described(directory, STATE, STATE_DESCRIPTION, HASH)
    try:
        description = _Description.model_validate_json(read(path))
    except ValidationError as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error
    except MicrogptError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if description.format_version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format_version is {description.format_version}, this microgpt reads up to "
            f"{FORMAT_VERSION}; update it"
        )
    if description.state_sha256 != hashlib.sha256(content).hexdigest():
        raise CheckpointError(
            f"{directory / STATE} is not the file that {STATE_DESCRIPTION} describes (its sha256 "
            "differs); restore both files, or train anew with --force"
        )
    plan = _plan(description, path)
    return plan, _state(description, content, directory / STATE), description.status


def _staged(path: Path) -> Path:
    try:
        return make_staging(path)
    except OSError as error:
        raise CheckpointError(
            f"cannot write to {path}: {error.strerror}; name another directory"
        ) from error


def _describe(
    plan: TrainingPlan, state: TrainState, status: Status, state_sha256: str
) -> _Description:
    best = state.best
    return _Description(
        state_sha256=state_sha256,
        status=status,
        step=state.step,
        model=plan.model,
        chars=plan.tokenizer.chars,
        special_tokens=SPECIAL_TOKENS if plan.tokenizer.is_chat else None,
        config=plan.config,
        engine=plan.engine,
        dtype=plan.dtype,
        input=str(plan.input),
        data=plan.data,
        parent_sha256=plan.parent_sha256,
        genome_sha256=plan.genome_sha256,
        best=_BestFacts(**{name: getattr(best, name) for name in _BestFacts.model_fields})
        if best
        else None,
        since_history=state.since_history,
        seconds=state.seconds,
        created_by=f"microgpt {version('microgpt-lib')}",
    )


def _plan(description: _Description, path: Path) -> TrainingPlan:
    if description.special_tokens not in (None, SPECIAL_TOKENS):
        raise CheckpointError(f"{path}: special_tokens must be {list(SPECIAL_TOKENS)} or absent")
    try:
        tokenizer = CharTokenizer(description.chars, is_chat=description.special_tokens is not None)
    except MicrogptError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if tokenizer.vocab_size != description.model.vocab_size:
        raise CheckpointError(
            f"{path}: vocab_size is {description.model.vocab_size}, but its characters and special "
            f"tokens make {tokenizer.vocab_size}"
        )
    return TrainingPlan(
        model=description.model,
        config=description.config,
        tokenizer=tokenizer,
        engine=description.engine,
        dtype=description.dtype,
        data=description.data,
        input=Path(description.input),
        parent_sha256=description.parent_sha256,
        genome_sha256=description.genome_sha256,
    )


def _as_tensors(state: TrainState) -> dict[str, NDArray[np.generic]]:
    """Return all of a state that is many numbers."""
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
    if state.best:
        tensors["best_weights"] = np.asarray(state.best.weights, state.dtype)
    return tensors


def _state(description: _Description, content: bytes, path: Path) -> TrainState:
    try:
        tensors = load_tensors(content)
        n_params = count_params(description.model)
        names = ["weights", "adam_m", "adam_v", *(["best_weights"] if description.best else [])]
        for name in names:
            if tensors[name].shape != (n_params,) or tensors[name].dtype != description.dtype:
                raise CheckpointError(
                    f"{path}: {name} is not {n_params} numbers of {description.dtype}; train anew"
                )
        history = [
            HistoryPoint(step, loss, None if val_loss != val_loss else val_loss)
            for step, loss, val_loss in zip(
                *(tensors[f"history.{name}"].tolist() for name in ("step", "loss", "val_loss")),
                strict=True,
            )
        ]
        recent_losses = tuple(tensors["recent_losses"].tolist())
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is no state of a training: {error}") from error
    best = description.best
    return TrainState(
        step=description.step,
        weights=tensors["weights"],
        adam_m=tensors["adam_m"],
        adam_v=tensors["adam_v"],
        dtype=description.dtype,
        engine=description.engine,
        best=Best(**best.model_dump(), weights=tensors["best_weights"]) if best else None,
        recent_losses=recent_losses,
        history=tuple(history),
        since_history=description.since_history,
        seconds=description.seconds,
    )
