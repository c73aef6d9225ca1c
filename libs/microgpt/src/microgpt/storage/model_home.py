"""The directory of a user's models, in which commands find a model by its name."""

import os
from pathlib import Path

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import committed_path
from microgpt.storage.meta import META, STATE_DESCRIPTION
from microgpt.storage.model_directory import REMEDY, has_model


def model_home() -> Path:
    """Return the directory that MICROGPT_HOME names, else the platform's directory for user data.

    On Linux, the default is ~/.local/share/microgpt/models.
    """
    if configured := os.environ.get("MICROGPT_HOME"):
        return Path(os.path.expanduser(configured))
    from platformdirs import user_data_path

    return user_data_path("microgpt", appauthor=False) / "models"


def find_model(name: str | Path) -> Path:
    """Return a path that exists, else the model with this name in `model_home`.

    Raises:
        CheckpointError: there is neither; the message names both places.
    """
    path = Path(name)
    if os.path.lexists(name):
        return path
    places = ""
    if len(path.parts) == 1:  # a name without directories
        places = f", here or in {model_home()}"
        if os.path.isdir(model_home() / path):
            return model_home() / path
    raise CheckpointError(f"{name if str(name) else repr('')} does not exist{places}; {REMEDY}")


def is_model_directory(directory: Path) -> bool:
    """Return whether a directory contains a model, a damaged one, or an unfinished training run."""
    about = (committed_path(directory, name) for name in (META, STATE_DESCRIPTION))
    return has_model(directory) or any(map(os.path.exists, about))
