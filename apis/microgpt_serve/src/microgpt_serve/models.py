"""Load the models that the settings name, and find the model for a request."""

import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from microgpt import (
    DEFAULT_MODEL_DIR,
    DEMO_MODEL,
    DecodeRules,
    InferenceGpt,
    PromptError,
    SavedModel,
    bundled,
    count_params,
    load,
    model_sources,
    on_compiling,
    prepare_engine,
)
from microgpt_serve.service_errors import ServeError
from microgpt_serve.service_settings import ServiceSettings

LOG = logging.getLogger("microgpt_serve")
MAX_NEW_TOKENS = 2**14  # maximum number of new tokens per sample or reply
MAX_CONTEXT_BYTES = 2**25  # maximum bytes for a full context, but at least the size of the weights


@dataclass(frozen=True)
class ServedModel:
    """A loaded model, and the facts that the service reports about it."""

    name: str  # from the settings, or the printable base name of the directory; "demo" if bundled
    version: str  # first 12 hexadecimal digits of the SHA-256 of the weights
    gpt: InferenceGpt
    saved: SavedModel

    @property
    def created(self) -> int:
        """Unix time at which the model was created, or 0 if it is unknown."""
        with suppress(TypeError, ValueError, OverflowError):
            return max(0, int(datetime.fromisoformat(self.saved.meta.created_at or "").timestamp()))
        return 0

    def limit(self, max_tokens: int | None) -> int | None:
        """Return the maximum number of new tokens; None means as many as fit in the context."""
        if max_tokens or self.gpt.config.block_size > MAX_NEW_TOKENS:
            return min(max_tokens or MAX_NEW_TOKENS, MAX_NEW_TOKENS)
        return None

    def __str__(self) -> str:
        kind = "chat" if self.gpt.tokenizer.is_chat else "text"
        return f"{self.name} ({kind}, {self.gpt.num_params:,} weights, version {self.version})"


class ServedModels(dict[str, ServedModel]):
    """The models of a service by name, in the order of the settings."""

    @classmethod
    def load(cls, settings: ServiceSettings) -> "ServedModels":
        """Load all models; raise MicrogptError if there are none or a model cannot be loaded."""
        sources = model_sources(settings.model_dir)
        return cls({name: _load(name, directory) for name, directory in sources.items()})

    def find(self, name: str | None) -> ServedModel:
        """Return the model called `name` (None: the first); raise ServeError if there is none."""
        if name is None:
            return next(iter(self.values()))
        if name not in self:
            message = f"model {name!r:.80} does not exist; use {' or '.join(self)}"
            raise ServeError(404, message, field="model", code="model_not_found")
        return self[name]

    def __str__(self) -> str:
        return " and ".join(map(str, self.values()))


def _load(name: str, directory: Path) -> ServedModel:
    """Load a model, and compile the engine if necessary."""
    if directory == bundled(DEMO_MODEL):
        LOG.info(f"{DEFAULT_MODEL_DIR} not found; using the bundled demo model")
    saved = load(directory)
    if saved.progress:
        LOG.info(f"the training run in {directory} is unfinished; using its model {saved.progress}")
    saved = _within_memory(saved)
    gpt = InferenceGpt(saved)
    with on_compiling(LOG.info):
        prepare_engine(gpt.engine, saved.dtype, uses=["generation"])
    rules = DecodeRules(max_tokens=1)  # decode one token, so that the weights are converted now
    with suppress(PromptError):  # raised if a logit is not finite, which each request will report
        deque(gpt.engine_model.decode_many([[gpt.tokenizer.bos_id]], [0], rules), maxlen=0)
    saved = replace(saved, weights=gpt.weights)  # keep only one copy of the weights in memory
    return ServedModel(name, saved.sha256[:12], gpt, saved)


def _within_memory(saved: SavedModel) -> SavedModel:
    """Shorten a rotary model's context if it is so long that reading it delays other requests."""
    model, n_bytes = saved.model, 4 if saved.dtype == "float32" else 8
    n_numbers = 2 * model.n_layer * model.n_embd + model.n_head  # keys, values, attention weights
    n_numbers += 4 * model.n_embd + model.head_dim  # cosines and sines of rotary positions
    most = max(MAX_CONTEXT_BYTES, count_params(model) * n_bytes) // (n_numbers * n_bytes + 16)
    if model.is_karpathys or model.block_size <= most:
        return saved
    LOG.info(f"the context of {model.block_size:,} tokens is too long; using {most:,} tokens")
    return replace(saved, model=replace(model, block_size=most))
