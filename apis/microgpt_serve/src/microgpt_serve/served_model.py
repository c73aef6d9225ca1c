"""A loaded model, and what the service tells about it."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from microgpt import DecodeRules, InferenceGpt, PromptError, SavedModel, prepare_engine
from microgpt_serve.schemas import MAX_NEW_TOKENS

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
    gpt = InferenceGpt(saved)
    prepare_engine(gpt.engine, saved.dtype, uses=["generation"], tell=log)
    rules = DecodeRules(max_tokens=1)  # one token, since the weights are converted for the first
    with suppress(PromptError):  # each request gets this error
        deque(gpt.engine_model.decode_many([[gpt.tokenizer.bos_id]], [0], rules), maxlen=0)
    version = saved.sha256[:VERSION_DIGITS]
    return ServedModel(name, version, gpt, replace(saved, weights=gpt.weights))  # not a second copy
