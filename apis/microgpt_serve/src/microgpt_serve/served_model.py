"""A loaded model, and what the service tells about it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from microgpt.engine.decoding.decoder import context_bytes
from microgpt.inference import InferenceGpt
from microgpt.model_config import count_params
from microgpt.storage.saved_model import SavedModel
from microgpt.training.engines import prepare_engine
from microgpt_serve.schemas import MAX_NEW_TOKENS

MAX_CONTEXT_BYTES = 2**25  # memory for one full context of a model with fewer bytes of weights
VERSION_DIGITS = 12


@dataclass(frozen=True)
class ServedModel:
    """A loaded model and its metadata."""

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


def served_model(name: str, saved: SavedModel, log: Callable[[str], None]) -> ServedModel:
    """Return a model that is ready to generate: compile the engine; pass messages to `log`."""
    saved = _within_memory(saved, log)
    gpt = InferenceGpt(saved)
    prepare_engine("compiled", saved.dtype, uses=("generation",), tell=log)
    _ = gpt.compiled.decode_weights
    version = saved.sha256[:VERSION_DIGITS]
    return ServedModel(name, version, gpt, replace(saved, weights=gpt.weights))  # not a second copy


def _within_memory(saved: SavedModel, log: Callable[[str], None]) -> SavedModel:
    """Shorten the context of a rotary model if one context takes too much memory."""
    model = saved.model
    n_bytes = context_bytes(model, saved.dtype)
    limit = max(MAX_CONTEXT_BYTES, count_params(model) * np.dtype(saved.dtype).itemsize)
    if model.positions != "rotary" or n_bytes <= limit:
        return saved
    length = max(1, model.block_size * limit // n_bytes)
    log(
        f"the context of {model.block_size:,} tokens would take {n_bytes / 2**20:,.0f} MiB; "
        f"using {length:,} tokens"
    )
    return replace(saved, model=replace(model, block_size=length))
