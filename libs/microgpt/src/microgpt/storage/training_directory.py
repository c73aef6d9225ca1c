"""A model directory during training, with a lock, a checkpoint and the final model."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Self

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import committed_path, publish, read_consistently
from microgpt.files.directory_lock import DirectoryLock
from microgpt.state import TrainingPlan, TrainResult, TrainState
from microgpt.storage.meta import META, STATE, STATE_DESCRIPTION
from microgpt.storage.model_directory import (
    TOKENIZER,
    TRAINING,
    check_format,
    encode_model,
    has_model,
    publish_model,
)
from microgpt.storage.training_state import Status, encode_state, read_state
from microgpt.storage.weights_file import WEIGHTS_FILES
from microgpt.training.history_file import HISTORY, encode_history


class TrainingDirectory:
    """The output directory of a training run, created with the first checkpoint."""

    def __init__(self, path: str | Path) -> None:
        """Lock a directory, which need not exist; raise CheckpointError if it cannot be locked."""
        self.path = Path(path)
        self.has_own_state = False  # whether this process has written a checkpoint
        own = (STATE, STATE_DESCRIPTION, HISTORY, TOKENIZER, META, *WEIGHTS_FILES.values())
        for name in own:
            if os.path.isdir(self.path / name):  # Path.is_dir may raise OSError
                raise CheckpointError(f"{self.path / name} is a directory; use another directory")
        self._lock = DirectoryLock(self.path, "being trained")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    @property
    def has_model(self) -> bool:
        """Whether the directory contains a model."""
        return has_model(self.path)

    @property
    def has_state(self) -> bool:
        """Whether the directory contains a checkpoint."""
        return _has_state(self.path)

    def keep(self, plan: TrainingPlan, state: TrainState, status: Status = "running") -> None:
        """Write a checkpoint. If the write fails, the previous checkpoint is kept."""
        content, description = encode_state(plan, state, status)
        files = {
            STATE: content,
            HISTORY: encode_history(state.history),
            STATE_DESCRIPTION: description,
        }
        publish(self.path, files, is_held=True)
        self.has_own_state = True

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
    if not _has_state(directory):
        exists = "has no checkpoint to resume" if directory.is_dir() else "is not a directory"
        what = exists if os.path.exists(directory) else "does not exist"
        raise CheckpointError(f"{directory} {what}; use another directory, or train from scratch")


def read_training(directory: Path) -> tuple[TrainingPlan, TrainState, Status]:
    """Read the checkpoint in a directory; raise CheckpointError if it is missing or damaged."""
    check_has_training(directory)
    check_format(directory)
    return read_consistently(directory, lambda: read_state(directory))


def _has_state(directory: Path) -> bool:
    return any(committed_path(directory, name).exists() for name in (STATE_DESCRIPTION, STATE))
