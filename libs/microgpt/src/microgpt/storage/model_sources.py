"""Find the models that a command names: paths, NAME=DIR, or a directory of models."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.errors import CheckpointError, ConfigError
from microgpt.printable_text import printable
from microgpt.storage.model_directory import REMEDY, is_model_directory

DEFAULT_MODEL_DIR = "output"


@dataclass(frozen=True)
class ModelSource:
    """The name of a model, and its directory."""

    name: str
    directory: Path
    is_demo: bool = False


def model_sources(given: str | Sequence[str] | None) -> list[ModelSource]:
    """Return the models that are given, or those in a directory of models.

    Args:
        given: paths or NAME=DIR; text is a path or a comma-separated list of these. None is
            `output` or, if it does not exist, the demo model.

    Raises:
        MicrogptError: a directory does not exist, or a name is missing or given twice.
    """
    if given is None:
        if not os.path.lexists(DEFAULT_MODEL_DIR):
            return [ModelSource("demo", bundled(DEMO_MODEL), is_demo=True)]
        return [ModelSource(DEFAULT_MODEL_DIR, Path(DEFAULT_MODEL_DIR))]
    if isinstance(given, str):
        texts = [given] if os.path.lexists(given) else list(map(str.strip, given.split(",")))
        given = tuple(filter(None, texts)) or (given,)
    sources = [source for text in given for source in _sources_in(text)]
    ((name, n),) = Counter(source.name for source in sources).most_common(1)
    if n > 1:
        same = [str(source.directory) for source in sources if source.name == name]
        raise ConfigError(
            f"{' and '.join(same)} have the same name, {name}; choose names with NAME=DIR"
        )
    return sources


def _sources_in(text: str) -> list[ModelSource]:
    """Return the model at a path or `NAME=DIR`, or those in a directory."""
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
            return [ModelSource(name_of(each), each) for each in children]
    return [ModelSource(name or name_of(path), path)]


def name_of(path: str | os.PathLike[str]) -> str:
    """Return the name of the model in a directory, unless another one is given."""
    return printable(os.path.basename(os.path.abspath(path))) or "model"
