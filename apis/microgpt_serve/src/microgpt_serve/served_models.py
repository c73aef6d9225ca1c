"""The models of a service: find them by the settings, load them, and choose one for a request."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from microgpt.errors import ConfigError, MicrogptError
from microgpt.model_config import count_params
from microgpt.questions.known_questions import NEEDS_FEW
from microgpt.resource_limits import check_memory
from microgpt.storage.model_directory import load, read_meta
from microgpt.storage.model_sources import DEFAULT_MODEL_DIR, ModelSource, model_sources
from microgpt_serve.errors import ServeError
from microgpt_serve.served_model import ServedModel, served_model
from microgpt_serve.settings import Settings

LOG = logging.getLogger("microgpt_serve")
BYTES_PER_WEIGHT = 50  # of a loaded model; measured with 0.3 and 5.3 million weights


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
        sources, models = model_sources(settings.model_dir), cls({})
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
