"""The models of a service: find them by the settings, load them, and choose one for a request."""

import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from microgpt import (
    DEFAULT_MODEL_DIR,
    DecodeRules,
    InferenceGpt,
    ModelSource,
    PromptError,
    SavedModel,
    load,
    model_sources,
    prepare_engine,
)
from microgpt_serve.errors import ServeError
from microgpt_serve.schemas import MAX_NEW_TOKENS
from microgpt_serve.settings import Settings

LOG = logging.getLogger("microgpt_serve")


@dataclass(frozen=True)
class ServedModel:
    """A loaded model, and what the service tells about it."""

    name: str  # given, or the printable base name of the directory; "demo" for the bundled model
    version: str  # first 12 hexadecimal digits of the SHA-256 of the weights
    gpt: InferenceGpt
    saved: SavedModel

    @property
    def created(self) -> int:
        """Unix time at which the model was created, or 0 if it is unknown."""
        with suppress(TypeError, ValueError, OverflowError):
            return max(0, int(datetime.fromisoformat(self.saved.meta.created_at or "").timestamp()))
        return 0

    def max_new_tokens(self, wanted: int | None) -> int | None:
        """Return the maximum number of new tokens; None means as many as fit in the context."""
        if not wanted and self.gpt.config.block_size <= MAX_NEW_TOKENS:
            return None
        return min(wanted or MAX_NEW_TOKENS, MAX_NEW_TOKENS)

    def __str__(self) -> str:
        kind = "chat" if self.gpt.tokenizer.is_chat else "text"
        return f"{self.name} ({kind}, {self.gpt.num_params:,} weights, version {self.version})"


class ServedModels(dict[str, ServedModel]):
    """All models of a service by name, in order."""

    @classmethod
    def load(cls, settings: Settings) -> "ServedModels":
        """Load all models. Raise MicrogptError if there is none, or one cannot be loaded."""
        sources = model_sources(settings.model_dir)
        return cls({source.name: _load(source) for source in sources})

    @property
    def first(self) -> ServedModel:
        """The model of the requests that name none."""
        return next(iter(self.values()))

    def find(self, name: str | None) -> ServedModel:
        """Return the model with a name, or the first one. Raise ServeError if there is none."""
        if name is None:
            return self.first
        if name not in self:
            message = f"model {name!r:.80} does not exist; use {' or '.join(self)}"
            raise ServeError(404, message, field="model", code="model_not_found")
        return self[name]

    def __str__(self) -> str:
        return " and ".join(map(str, self.values()))


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
    gpt = InferenceGpt(saved)
    prepare_engine(gpt.engine, saved.dtype, uses=["generation"], tell=LOG.info)
    rules = DecodeRules(max_tokens=1)  # one token, since the weights are converted for the first
    with suppress(PromptError):  # each request gets this error
        deque(gpt.engine_model.decode_many([[gpt.tokenizer.bos_id]], [0], rules), maxlen=0)
    saved = replace(saved, weights=gpt.weights)  # not a second copy
    return ServedModel(source.name, saved.sha256[:12], gpt, saved)
