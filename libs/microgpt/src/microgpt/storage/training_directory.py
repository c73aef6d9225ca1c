"""A model directory while it is being trained: its lock, and where the training stands.

    train_state.safetensors, train_state.json    see `state_files`
    history.jsonl                                the losses so far, a line a point

The model itself is written when the training has ended, so that an older one can be used until
then.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import current, publish, read_settled
from microgpt.files.directory_lock import DirectoryLock
from microgpt.state import TrainingPlan, TrainResult, TrainState
from microgpt.storage.meta import META
from microgpt.storage.model_directory import (
    STATE_DESCRIPTION,
    TOKENIZER,
    encode_model,
    has_model,
    publish_model,
)
from microgpt.storage.training_state import STATE, Status, encode_state, read_state
from microgpt.storage.weights_file import WEIGHTS_FILES
from microgpt.training.history_file import HISTORY, as_lines


class TrainingDirectory:
    """A directory that this process trains in.

    Attributes:
        path: where it is, or will be once the first state is kept.
        has_own_state: whether this training has kept a state there, or goes on from the one there.
    """

    def __init__(self, path: str | Path) -> None:
        """Take hold of a directory, which need not exist, and read what is there.

        Raises:
            CheckpointError: another process trains there, it cannot be written, or the state that
                is there is damaged.
        """
        self.path = Path(path)
        self.has_own_state = False
        own = (STATE, STATE_DESCRIPTION, HISTORY, TOKENIZER, META, *WEIGHTS_FILES.values())
        for name in own:
            if os.path.isdir(self.path / name):  # unlike Path.is_dir, never an OSError
                raise CheckpointError(f"{self.path / name} is a directory; name another place")
        self._lock = DirectoryLock(self.path, "being trained")

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
        self._lock.release()

    @property
    def has_model(self) -> bool:
        """Whether there is a model that can be used."""
        return has_model(self.path)

    @property
    def has_state(self) -> bool:
        """Whether a training has kept a state there."""
        return _has_state(self.path)

    def read_state(self) -> tuple[TrainingPlan, TrainState, Status]:
        """Return what the training there is, where it stands, and whether it has ended.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        return read_training(self.path)

    def keep(self, plan: TrainingPlan, state: TrainState, status: Status = "running") -> None:
        """Write where a training stands.

        Raises:
            CheckpointError: it cannot be written. If there is no room, what was there before is.
        """
        content, description = encode_state(plan, state, status)
        files = {
            STATE: content,
            HISTORY: as_lines(state.history),
            STATE_DESCRIPTION: description,
        }
        publish(self.path, files, is_held=True)
        self._lock.enter()
        self.has_own_state = True

    def finish(self, result: TrainResult) -> None:
        """Write the model, and that the training has ended.

        The state goes first: if there is no room for the model, nothing has to be trained again.

        Raises:
            CheckpointError: they cannot be written.
        """
        self.keep(result.plan, result.state)
        publish_model(self.path, encode_model(result, result.plan.weights_format))
        self.keep(result.plan, result.state, "ended")


def check_has_training(directory: Path) -> None:
    """Raise CheckpointError if there is no training in a directory to go on with."""
    if not _has_state(directory):
        what = "holds no training" if directory.is_dir() else "does not exist"
        raise CheckpointError(f"{directory} {what} to go on with; name one, or train anew")


def read_training(directory: Path) -> tuple[TrainingPlan, TrainState, Status]:
    """Return what a training is, where it stands, and whether it has ended.

    Raises:
        CheckpointError: there is no state, or it is damaged.
    """
    check_has_training(directory)
    return read_settled(directory, lambda: read_state(directory))


def _has_state(directory: Path) -> bool:
    return any(current(directory, name).exists() for name in (STATE_DESCRIPTION, STATE))
