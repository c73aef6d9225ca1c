"""The models of a service: find them by the settings, load them, and choose one for a request."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.errors import CheckpointError, ConfigError, MicrogptError
from microgpt.model_config import count_params
from microgpt.printable import printable
from microgpt.questions.known_questions import NEEDS_FEW
from microgpt.resource_limits import check_memory
from microgpt.storage.model_directory import load, read_meta
from microgpt.storage.model_home import find_model, is_model_directory
from microgpt_serve.errors import ServeError
from microgpt_serve.served_model import ServedModel, name_of, served_model
from microgpt_serve.settings import Settings

LOG = logging.getLogger("microgpt_serve")
DEFAULT_MODEL_DIR = "output"
BYTES_PER_WEIGHT = 50  # of a loaded model; measured with 0.3 and 5.3 million weights


@dataclass(frozen=True)
class ModelSource:
    """The name of a model, and its directory."""

    name: str
    directory: Path
    is_demo: bool = False
    is_missing: bool = False


@dataclass
class ServedModels:
    """All models of a service by name, in order. A model that has never been loaded is None."""

    by_name: dict[str, ServedModel | None]
    failed: set[str] = field(default_factory=set)  # names of the models whose last load failed

    @classmethod
    def load(cls, settings: Settings) -> "ServedModels":
        """Load all models. If only some of several can be loaded, log the problems of the others.

        Raises:
            MicrogptError: the settings are wrong or for other models, or no model can be loaded.
        """
        sources, models = find_sources(settings), cls({})
        if len(sources) > 1:
            _check_total_memory(sources)
        for source in sources:
            models.by_name[source.name] = None
            try:
                models.by_name[source.name] = load_source(settings, source)
            except MicrogptError as error:
                if len(sources) == 1:
                    raise
                models.failed.add(source.name)
                LOG.error("the model %s cannot be loaded: %s", source.name, error)
        if not models.loaded:
            raise ConfigError(f"none of the {len(sources)} models can be loaded; see the log")
        is_for_few = settings.unknown is not None or settings.suggest
        if is_for_few and not (models.failed or any(m.gpt.known_questions for m in models.loaded)):
            raise ConfigError(NEEDS_FEW)
        return models

    @property
    def loaded(self) -> list[ServedModel]:
        """The models that can be used."""
        return [model for model in self.by_name.values() if model]

    def find(self, name: str | None) -> ServedModel:
        """Return the model with a name; None is the first one that has been loaded.

        Raises:
            ServeError: there is no such model, or it could not be loaded.
        """
        name = self.loaded[0].name if name is None else name
        if name not in self.by_name:
            message = f"model {name!r:.80} does not exist; use {' or '.join(self.by_name)}"
            raise ServeError(404, message, field="model", code="model_not_found")
        if model := self.by_name[name]:
            return model
        message = f"the model {name} could not be loaded; see the log of the service"
        raise ServeError(503, message, field="model")

    def keep_only(self, names: Sequence[str]) -> None:
        """Remove all other models, unless none of these is loaded."""
        if any(map(self.by_name.get, names)):
            self.by_name = {name: self.by_name.get(name) for name in names}
            self.failed.intersection_update(names)

    def __str__(self) -> str:
        return " and ".join(map(str, self.loaded))


def find_sources(
    settings: Settings, *, allow_demo: bool = True, allow_missing: bool = False
) -> list[ModelSource]:
    """Return the models that the settings name (default: `output`).

    It is the demo model if the settings name no model, `output` does not exist and `allow_demo` is
    true.

    Raises:
        MicrogptError: a directory does not exist, unless `allow_missing` is true, or a name is
            missing or given twice.
    """
    given = settings.model_dir
    if given is None:
        if allow_demo and not os.path.lexists(DEFAULT_MODEL_DIR):
            return [ModelSource("demo", bundled(DEMO_MODEL), is_demo=True)]
        return [ModelSource(DEFAULT_MODEL_DIR, Path(DEFAULT_MODEL_DIR))]
    if isinstance(given, str):
        texts = [given] if os.path.lexists(given) else list(map(str.strip, given.split(",")))
        given = tuple(filter(None, texts)) or (given,)
    sources = [source for text in given for source in _sources_in(text, allow_missing)]
    ((name, n),) = Counter(source.name for source in sources).most_common(1)
    if n > 1:
        same = [str(source.directory) for source in sources if source.name == name]
        raise ConfigError(
            f"{' and '.join(same)} have the same name, {name}; choose names with NAME=DIR"
        )
    return sources


def _sources_in(text: str, allow_missing: bool) -> list[ModelSource]:
    """Return the model at a path or with a name, such as `my-bot` or `NAME=DIR`, or those in it."""
    name, separator, directory = text.partition("=")
    if not separator or os.path.lexists(text):
        name, directory = "", text
    elif not name.strip() or not directory:
        raise ConfigError(f"{text} must be NAME=DIR, such as names=output")
    name = printable(name.strip())
    try:
        path = find_model(directory)
    except CheckpointError:
        if not allow_missing:
            raise
        path = Path(directory)
        return [ModelSource(name or name_of(path), path, is_missing=True)]
    if not name and os.path.isdir(path) and not is_model_directory(path):
        children = sorted(each for each in path.iterdir() if is_model_directory(each))
        if children:
            return [ModelSource(name_of(each), each) for each in children]
    return [ModelSource(name or name_of(path), path)]


def _check_total_memory(sources: list[ModelSource]) -> None:
    """Raise ConfigError if there is not enough memory for all models together."""
    n_bytes = 0
    for source in sources:
        with suppress(MicrogptError):  # an unfinished run, or a damaged model
            n_bytes += BYTES_PER_WEIGHT * count_params(read_meta(source.directory).model())
    check_memory(n_bytes, f"serving {len(sources)} models", "serve fewer models")


def load_source(settings: Settings, source: ModelSource) -> ServedModel:
    """Load a model, and compile the engine."""
    if source.is_demo:
        LOG.info(f"{DEFAULT_MODEL_DIR} not found; using the bundled demo model")
    saved = load(source.directory)
    if saved.known_questions:
        saved = saved.replying(settings.unknown, suggest=settings.suggest)
    if saved.progress:
        LOG.info(
            f"the training run in {source.directory} is unfinished; "
            f"using its model {saved.progress}"
        )
    served = served_model(saved, source.directory, LOG.info)
    return replace(served, name=source.name, is_demo=source.is_demo)


def load_model(settings: Settings) -> ServedModel:
    """Load the only model that the settings name."""
    if len(find_sources(settings)) > 1:
        raise ConfigError("a page in a file has only one model; name one")
    return ServedModels.load(settings).loaded[0]
