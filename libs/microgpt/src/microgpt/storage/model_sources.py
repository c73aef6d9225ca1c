"""Find the models that a command names: paths, NAME=DIR, or a directory of models."""

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.errors import CheckpointError, ConfigError
from microgpt.printable_text import printable
from microgpt.storage.model_directory import REMEDY, is_model_directory

DEFAULT_MODEL_DIR = "output"


def model_sources(given: str | Sequence[str] | None) -> dict[str, Path]:
    """Return the directories of models, by the names of the models.

    Args:
        given: paths or NAME=DIR; text is a path or a comma-separated list of these. None is
            `output` or, if it does not exist, the demo model.

    Raises:
        MicrogptError: a directory does not exist, or a name is missing or given twice.
    """
    if given is None:
        if not os.path.lexists(DEFAULT_MODEL_DIR):
            return {"demo": bundled(DEMO_MODEL)}
        return {DEFAULT_MODEL_DIR: Path(DEFAULT_MODEL_DIR)}
    if isinstance(given, str):
        texts = [given] if os.path.lexists(given) else list(map(str.strip, given.split(",")))
        given = tuple(filter(None, texts)) or (given,)
    sources: dict[str, Path] = {}
    for name, directory in chain.from_iterable(map(_models_at, given)):
        if name in sources:
            raise ConfigError(
                f"{sources[name]} and {directory} have the same name, {name}; choose names with "
                "NAME=DIR"
            )
        sources[name] = directory
    return sources


def _models_at(text: str) -> list[tuple[str, Path]]:
    """Return the name and the path of the model at `PATH` or `NAME=DIR`, or of those in it."""
    name, separator, directory = text.partition("=")
    if not separator or os.path.lexists(text):
        name, directory = "", text
    elif not name.strip() or not directory:
        raise ConfigError(f"{text} must be NAME=DIR, such as names=output")
    name = printable(name.strip())
    path = Path(directory)
    if not os.path.lexists(directory):
        raise CheckpointError(f"{directory or repr('')} does not exist; {REMEDY}")
    if not name and os.path.isdir(path) and not is_model_directory(path):
        children = sorted(each for each in path.iterdir() if is_model_directory(each))
        if children:
            return [(name_of(each), each) for each in children]
    return [(name or name_of(path), path)]


def name_of(path: str | os.PathLike[str]) -> str:
    """Return the name of the model in a directory, unless another one is given."""
    return printable(os.path.basename(os.path.abspath(path))) or "model"
