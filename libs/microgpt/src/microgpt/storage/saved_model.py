"""A model loaded from a directory, with the content of its meta.json."""

import hashlib
from array import array
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from microgpt.config import TextKind, TrainConfig
from microgpt.data.split import DataFacts
from microgpt.errors import ConfigError
from microgpt.model import weight_shapes
from microgpt.state import TrainedModel
from microgpt.storage.meta import Meta, trained_on

STEP = "lr", "optimizer", "weight_decay", "text"  # settings of a step


@dataclass(frozen=True, repr=False)
class SavedModel(TrainedModel):
    """A model loaded from a directory, including the content of meta.json."""

    meta: Meta
    steps_planned: int | None = None  # planned steps of the run, if the run is unfinished

    @property
    def config(self) -> TrainConfig:
        """The recorded settings of a training step, else the defaults."""
        config, training = super().config, self.meta.training
        for name in STEP:
            with suppress(ConfigError, TypeError):  # a setting of another program
                config = replace(config, **{name: training.get(name) or getattr(config, name)})
        return config

    @property
    def trained_on(self) -> tuple[DataFacts | None, ...]:
        """The training data of the model, its parent and its teachers; None for unknown data."""
        return trained_on(self.meta.training)

    @property
    def extra(self) -> Mapping[str, Any]:
        """The records of plug-ins, in JSON, by the name of the plug-in."""
        return self.meta.extra or {}

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the weights file, or of the weights if meta.json has none."""
        if self.meta.weights_sha256:
            return self.meta.weights_sha256
        numbers = array("d")
        for name in weight_shapes(self.model):
            for row in self.weights[name]:
                numbers.extend(row)
        return hashlib.sha256(numbers.tobytes()).hexdigest()

    @property
    def progress(self) -> str | None:
        """The step of an unfinished run, such as "at step 400 of 1000", or None if finished."""
        steps = self.steps_planned
        return f"at step {self.meta.training['steps']} of {steps}" if steps else None

    @property
    def text(self) -> TextKind:
        """The kind of text that the model was trained on."""
        return "stream" if self.meta.training.get("text") == "stream" else "lines"
