"""Load the model of a command, and print a note if the training run is unfinished."""

from pathlib import Path

from microgpt.storage.model_directory import SavedModel, load
from microgpt_cli.terminal.console import note


def load_model(directory: Path, *, unfinished: bool = False) -> SavedModel:
    """Load a model like `load`; print a note if the training run is unfinished."""
    return noted(load(directory, unfinished=unfinished), directory)


def noted(saved: SavedModel, directory: Path) -> SavedModel:
    """Return the model unchanged; print a note if the training run in `directory` is unfinished."""
    if saved.progress:
        note(f"the training run in {directory} is unfinished; using its model {saved.progress}")
    return saved
