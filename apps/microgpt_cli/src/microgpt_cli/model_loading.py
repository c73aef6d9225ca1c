"""Load the model of a command, with a note if its training has not ended."""

from pathlib import Path

from microgpt.storage.model_directory import SavedModel, load
from microgpt_cli.terminal.console import note


def load_model(directory: Path, *, unfinished: bool = False) -> SavedModel:
    """Load a model like `load`; print a note if the weights are those of an unfinished run."""
    return noted(load(directory, unfinished=unfinished), directory)


def noted(saved: SavedModel, directory: Path) -> SavedModel:
    """Return a model; print a note if it is that of an unfinished run in its directory."""
    if saved.progress:
        note(f"the training run in {directory} is unfinished; using its model {saved.progress}")
    return saved
