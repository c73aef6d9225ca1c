"""The models of a service: find them by the settings, load them, and choose one for a request."""

import logging
from dataclasses import dataclass

from microgpt import DEFAULT_MODEL_DIR, ModelSource, load, model_sources
from microgpt_serve.errors import ServeError
from microgpt_serve.served_model import ServedModel, served_model
from microgpt_serve.settings import Settings

LOG = logging.getLogger("microgpt_serve")


@dataclass(frozen=True)
class ServedModels:
    """All models of a service by name, in order."""

    by_name: dict[str, ServedModel]

    @classmethod
    def load(cls, settings: Settings) -> "ServedModels":
        """Load all models. Raise MicrogptError if there is none, or one cannot be loaded."""
        sources = model_sources(settings.model_dir)
        return cls({source.name: _load(source) for source in sources})

    @property
    def first(self) -> ServedModel:
        """The model of the requests that name none."""
        return next(iter(self.by_name.values()))

    def find(self, name: str | None) -> ServedModel:
        """Return the model with a name, or the first one. Raise ServeError if there is none."""
        if name is None:
            return self.first
        if name not in self.by_name:
            message = f"model {name!r:.80} does not exist; use {' or '.join(self.by_name)}"
            raise ServeError(404, message, field="model", code="model_not_found")
        return self.by_name[name]

    def __str__(self) -> str:
        return " and ".join(map(str, self.by_name.values()))


def _load(source: ModelSource) -> ServedModel:
    """Load a model, and compile the engine."""
    if source.is_demo:
        LOG.info(f"{DEFAULT_MODEL_DIR} not found; using the bundled demo model")
    saved = load(source.directory)
    if saved.progress:
        LOG.info(
            f"the training run in {source.directory} is unfinished; "
            f"using its model {saved.progress}"
        )
    return served_model(source.name, saved, LOG.info)
