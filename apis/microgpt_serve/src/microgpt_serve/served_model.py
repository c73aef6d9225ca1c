"""A loaded model, and what the service tells about it."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from microgpt.config import Use
from microgpt.engine.decoding.decoder import context_bytes
from microgpt.evaluation.scoring import Scorer
from microgpt.inference import InferenceGpt
from microgpt.model_config import count_params
from microgpt.storage.calibration_file import Calibration, read_calibration
from microgpt.storage.model_sources import name_of
from microgpt.storage.saved_model import SavedModel
from microgpt.training.engines import prepare_engine
from microgpt_serve.schemas import MAX_NEW_TOKENS
from microgpt_serve.work_queue import MAX_TURNS

MAX_CONTEXT_BYTES = 2**25  # memory for one full context of a model with fewer bytes of weights
MAX_READ_BYTES = 2**26  # memory for reading tokens in one step, but twice that for ALWAYS_READ
ALWAYS_READ = 1024  # tokens; they take about 50 MiB in a model of 4 layers of 96
VERSION_DIGITS = 12
USES: tuple[Use, ...] = ("generation", "evaluation")  # log-probabilities require "evaluation"


@dataclass(frozen=True)
class ServedModel:
    """A loaded model and its metadata. A reload replaces the whole object."""

    name: str  # given, or the printable base name of the directory; "demo" for the bundled model
    version: str  # first 12 hexadecimal digits of the SHA-256 of the weights
    gpt: InferenceGpt
    saved: SavedModel
    is_demo: bool = False
    max_turns: int = MAX_TURNS  # number of works, such as explanations, that may take turns
    scorer: Scorer | None = None  # None for a chat model
    calibration: Calibration | None = None  # of the scores, if the model has one

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


def served_model(
    saved: SavedModel, path: str | os.PathLike[str], log: Callable[[str], None]
) -> ServedModel:
    """Return the model in a directory, and compile the engine; pass messages to `log`."""
    saved = _within_memory(saved, log)
    gpt = InferenceGpt(saved)
    prepare_engine("compiled", saved.dtype, uses=USES, tell=log)
    _ = gpt.compiled.decode_weights
    is_chat = saved.tokenizer.is_chat
    usual = gpt.compiled.tokens_within(MAX_READ_BYTES)
    longest = min(ALWAYS_READ, gpt.compiled.tokens_within(2 * MAX_READ_BYTES))
    gpt.compiled.max_at_once = max(usual, longest)
    return ServedModel(
        name=name_of(path),
        version=saved.sha256[:VERSION_DIGITS],
        gpt=gpt,
        saved=replace(saved, weights=gpt.weights),  # not a second copy
        scorer=None if is_chat else Scorer(gpt, text=saved.text),
        calibration=read_calibration(Path(path), saved.meta),
        max_turns=MAX_TURNS if usual >= longest else 1,
    )


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
